package fdscan

import (
	"bytes"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/kernel/host"
)

const ringInfo = "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t1732887\nSqMask:\t0x3\nSqThread:\t-1\n"

func TestTheSocketsOfARingAreReadFromItsFdinfo(t *testing.T) {
	long := "    1: /" + strings.Repeat("x", 5000) + "UserBufs:\t0\n"
	for name, c := range map[string]struct {
		info   string
		want   []uint64
		listed bool
	}{
		"sockets and others":                    {ringInfo + "UserFiles:\t4\n    0: socket:[4711]\n    1: <none>\n    2: /dev/null\n100003: socket:[4712]\nUserBufs:\t0\n", []uint64{4711, 4712}, true},
		"no file":                               {ringInfo + "UserFiles:\t0\nUserBufs:\t0\n", nil, true},
		"a thread submits":                      {ringInfo[:strings.Index(ringInfo, "SqMask")], nil, false},
		"something like a socket elsewhere":     {ringInfo + "UserFiles:\t0\nUserBufs:\t1\n    0: socket:[4711]\n", nil, true},
		"a path that is longer than the buffer": {ringInfo + "UserFiles:\t2\n" + long + "    2: socket:[4711]\n", []uint64{4711}, true},
		"cut short":                             {ringInfo + "UserFiles:\t2\n    0: socket:[4711]\n    1: socket:[47", []uint64{4711}, true},
		"empty":                                 {"", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			var got []uint64
			listed, err := eachRingSocket(strings.NewReader(c.info), func(inode uint64) { got = append(got, inode) })
			if err != nil || listed != c.listed || !slices.Equal(got, c.want) {
				t.Errorf("%v, listed %v, %v; want %v, %v", got, listed, err, c.want, c.listed)
			}
		})
	}
}

// FuzzRingInfo checks that it does not matter in which pieces a file is read, and that no socket is
// found that is not there.
func FuzzRingInfo(f *testing.F) {
	f.Add([]byte(ringInfo + "UserFiles:\t1\n    0: socket:[4711]\n"))
	f.Add([]byte("UserFiles:\n\nsocket:[1]\n: socket:[2]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(one bool) (inodes []uint64) {
			var info = bytes.NewReader(data)
			collect := func(inode uint64) { inodes = append(inodes, inode) }
			var err error
			if one {
				_, err = eachRingSocket(iotest.OneByteReader(info), collect)
			} else {
				_, err = eachRingSocket(info, collect)
			}
			if err != nil {
				t.Fatal(err)
			}
			return inodes
		}
		whole := read(false)
		if pieces := read(true); !slices.Equal(whole, pieces) {
			t.Errorf("in pieces %v, in one %v", pieces, whole)
		}
		if n := bytes.Count(data, []byte("socket:[")); len(whole) > n {
			t.Errorf("%d sockets of %d", len(whole), n)
		}
	})
}

func TestAWalkFindsSocketsInRings(t *testing.T) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	inode := kerneltest.Describe(t, listener).Inode
	kerneltest.RegisterInRing(t, listener)
	listener.Close() // the ring keeps the socket
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	wanted := []InodeIndex{NewInodeIndex(inode, 0)}
	w, err := WalkProcesses(t.Context(), h, []int{os.Getpid()}, 1, wanted)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	w.Match(wanted, func(_ int, held []Descriptor) {
		found++
		if holders := *w.Holders(held); len(holders) != 1 || holders[0].PID != os.Getpid() || held[0].Handle != (Handle{Number: NoDescriptor}) {
			t.Errorf("holders %v with handle %+v, want this process without a descriptor", holders, held[0].Handle)
		}
	})
	if found != 1 {
		t.Errorf("found %d times", found)
	}
}
