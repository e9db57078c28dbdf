package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// closeWaits returns the sockets of a process that are in CLOSE_WAIT, by the address of the peer.
func closeWaits(t *testing.T, sockets func(func(*Socket)) ([]error, error), pid int) map[netip.AddrPort][]Socket {
	t.Helper()
	found := map[netip.AddrPort][]Socket{}
	malformed, err := sockets(func(s *Socket) {
		if s.State == host.TCPCloseWait && int(s.Pid) == pid {
			found[s.RemoteAddress()] = append(found[s.RemoteAddress()], *s)
		}
	})
	if err != nil || len(malformed) > 0 {
		t.Fatal(err, malformed)
	}
	return found
}

// TestTablesOfAnySizeAreWalkedToTheEnd makes more records than fit the array, and more descriptors
// than one run of the program visits.
func TestTablesOfAnySizeAreWalkedToTheEnd(t *testing.T) {
	leaktest.RequireRoot(t)
	const room, run = 1024, 8192 // MAX_RECORDS and CHUNK * CHUNKS in walk.h
	listener := leaktest.Listen(t, "tcp", "127.0.0.1:0")
	it := opened(t, objectProgWalk)
	c := leaktest.Connect(t, listener)
	c.HalfCloseClient()
	file, err := c.Server.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	want := []uint32{fdOf(t, c.Server), uint32(file.Fd())}
	for i := range 2*run + 10 {
		of := null
		if i < 2*room+5 || i > 2*run {
			of = file
		}
		fd, err := unix.FcntlInt(of.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if of == file {
			want = append(want, uint32(fd))
		}
	}
	all := func(each func(*Socket)) ([]error, error) { return it.Sockets(t.Context(), each) }
	for range 2 { // the cookie is assigned in the first pass at the latest
		var got []uint32
		for _, s := range closeWaits(t, all, os.Getpid())[c.Remote()] {
			got = append(got, s.Fd)
		}
		if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%d descriptors of the socket, want %d", len(got), len(want))
		}
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	counted := false
	if _, err := it.Processes(t.Context(), func(p *Process) {
		if int(p.Pid) != os.Getpid() || p.Thread != p.Pid {
			return
		}
		var n uint64
		// descriptors of the directory and of running iterators come and go
		if n, counted = it.OpenDescriptors(p); int(n) < len(open)-2 || int(n) > len(open)+2 {
			t.Errorf("%d open descriptors, want about %d", n, len(open))
		}
	}); err != nil || !counted {
		t.Errorf("open descriptors counted: %v, %v", counted, err)
	}
}

func fdOf(t *testing.T, c *net.TCPConn) (n uint32) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n = uint32(fd) }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRecordsOfBusyProcessesAreNeverMixedUp walks while sockets, files and slots are freed and used
// again, on two sides: each process accepts connections on ports of its own.
func TestRecordsOfBusyProcessesAreNeverMixedUp(t *testing.T) {
	leaktest.RequireRoot(t)
	const leaked, rounds = 20, 3000
	busy := leaktest.StartMany(t, 2, fmt.Sprintf("--sockets=%d", leaked), "--churn=1000")
	it := opened(t, objectProgWalk)
	owner := map[uint16]uint32{} // of a port
	sockets := func(each func(*Socket)) {
		malformed, err := it.walker.walk(t.Context(), func(s *Socket) {
			if int(s.Pid) == busy[0].PID || int(s.Pid) == busy[1].PID {
				each(s)
			}
		})
		if err != nil || len(malformed) > 0 {
			t.Fatal(err, malformed)
		}
	}
	sockets(func(s *Socket) {
		if s.State == host.TCPListen {
			owner[s.LocalPort] = s.Pid
		}
	})
	shortLived := 0
	for range rounds {
		count := map[uint32]int{}
		sockets(func(s *Socket) {
			if s.State != host.TCPCloseWait {
				return
			}
			if owner[s.LocalPort] != s.Pid {
				t.Fatalf("process %d with a socket of process %d: %v and %v", s.Pid, owner[s.LocalPort], s.LocalAddress(), s.RemoteAddress())
			}
			if count[s.Pid]++; s.Cookieless != 0 {
				shortLived++
			}
		})
		for _, l := range busy {
			if n := count[uint32(l.PID)]; n < leaked {
				t.Fatalf("%d sockets of process %d, want at least %d", n, l.PID, leaked)
			}
		}
	}
	if shortLived == 0 {
		t.Error("no socket was in CLOSE_WAIT only for a moment: the test has tested nothing")
	}
}
