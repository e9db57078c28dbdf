package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"closewait_exporter/kernel/host"
)

// encoded returns a record as the kernel writes it.
func encoded(t testing.TB, records ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, r := range records {
		if err := binary.Write(&b, binary.NativeEndian, r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func closeWait() objectRecord {
	return objectRecord{Inode: 7, Cookie: 8, Start: 9, Pid: 10, Fd: 11, Netns: 12, Family: familyIPv4, State: host.TCPCloseWait}
}

func TestRecordsAreReadWholeOrNotAtAll(t *testing.T) {
	good := closeWait()
	with := func(change func(*objectRecord)) objectRecord {
		r := good
		change(&r)
		return r
	}
	for _, c := range []struct {
		name      string
		data      []byte
		pids      []uint32
		malformed int
	}{
		{"nothing", nil, nil, 0},
		{"one", encoded(t, good), []uint32{10}, 0},
		{"several", encoded(t, good, with(func(r *objectRecord) { r.Pid = math.MaxInt32 })), []uint32{10, math.MaxInt32}, 0},
		{"one and a part", encoded(t, good)[:unsafe.Sizeof(good)-1], nil, 1},
		{"a part after one", append(encoded(t, good), 1, 2, 3), []uint32{10}, 1},
		{"no process", encoded(t, with(func(r *objectRecord) { r.Pid = 0 }), good), []uint32{10}, 1},
		{"no inode", encoded(t, with(func(r *objectRecord) { r.Inode = 0 })), nil, 1},
		{"an address family that is none of IP", encoded(t, with(func(r *objectRecord) { r.Family = 1 })), nil, 1},
		{"a state that was not asked for", encoded(t, with(func(r *objectRecord) { r.State = 1 })), nil, 1},
		{"a pid that is none", encoded(t, with(func(r *objectRecord) { r.Pid = math.MaxUint32 })), nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var pids []uint32
			malformed := decode(c.data, func(s *Socket) { pids = append(pids, s.Pid) })
			if !slices.Equal(pids, c.pids) || len(malformed) != c.malformed {
				t.Errorf("processes %v, want %v; %v, want %d malformed", pids, c.pids, malformed, c.malformed)
			}
			for _, err := range malformed {
				if !errors.Is(err, host.ErrMalformed) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

func TestAddressesAreReadByFamily(t *testing.T) {
	words := func(addr string) (w [4]uint32) {
		b := netip.MustParseAddr(addr).AsSlice()
		for i := range len(b) / 4 {
			w[i] = binary.NativeEndian.Uint32(b[4*i:])
		}
		return w
	}
	for _, c := range []struct {
		name   string
		family uint8
		addr   string
	}{
		{"IPv4", familyIPv4, "192.0.2.1"}, {"IPv6", familyIPv6, "2001:db8::17"}, {"IPv4 on an IPv6 socket", familyIPv6, "::ffff:192.0.2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Socket{objectRecord{Family: c.family, Local: words(c.addr), LocalPort: 80, Remote: words(c.addr), RemotePort: 443}}
			want := netip.MustParseAddr(c.addr)
			if local, remote := s.LocalAddress(), s.RemoteAddress(); local != netip.AddrPortFrom(want, 80) || remote != netip.AddrPortFrom(want, 443) {
				t.Errorf("%v and %v", local, remote)
			}
		})
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(encoded(f, closeWait()))
	f.Add(append(encoded(f, closeWait(), objectRecord{}), 0xff))
	f.Add(encoded(f, objectProcess{Start: 1, Pid: 2, Thread: 3, Netns: 4}))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		sockets, processes := 0, 0
		bad := decode(data, func(s *Socket) {
			sockets++
			if s.Pid == 0 || s.Inode == 0 || !s.LocalAddress().Addr().IsValid() || !s.RemoteAddress().Addr().IsValid() {
				t.Errorf("passed on: %+v", s)
			}
		})
		whole, rest := len(data)/int(unsafe.Sizeof(objectRecord{})), len(data)%int(unsafe.Sizeof(objectRecord{}))
		if got := sockets + len(bad); got != whole+min(rest, 1) {
			t.Errorf("%d sockets and %d malformed in %d bytes", sockets, len(bad), len(data))
		}
		bad = decode(data, func(*Process) { processes++ })
		whole, rest = len(data)/int(unsafe.Sizeof(objectProcess{})), len(data)%int(unsafe.Sizeof(objectProcess{}))
		if got := processes + len(bad); got != whole+min(rest, 1) {
			t.Errorf("%d processes and %d malformed in %d bytes", processes, len(bad), len(data))
		}
		if !bytes.Equal(before, data) {
			t.Error("the input was changed")
		}
	})
}

func TestStatesAreTheLettersOfProc(t *testing.T) {
	for name, c := range map[string]struct {
		state uint32
		want  byte
	}{
		"running": {0, 'R'}, "sleeping": {1, 'S'}, "in uninterruptible sleep": {2, 'D'}, "stopped": {4, 'T'}, "traced": {8, 't'},
		"dead": {0x10, 'X'}, "a zombie": {0x20, 'Z'}, "a zombie that was about to die": {0x80 | 0x20, 'Z'}, "parked": {0x40, 'P'},
		"idle": {0x402, 'I'}, "killable": {0x102, 'D'}, "frozen": {0x8000, 'D'}, "waiting for a real-time lock": {0x1000, 'D'},
		"sleeping, and may be frozen": {0x2001, 'S'},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&Process{objectProcess{State: c.state}}).StateLetter(); got != c.want {
				t.Errorf("state %c, want %c", got, c.want)
			}
		})
	}
}
