package scan_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// queueLength returns the number of connections that wait in the accept queue of the only listener
// of a process on a port, as the kernel writes it to /proc/net/tcp.
func queueLength(t *testing.T, pid int, port uint16) int {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, link := range links {
		target, _ := os.Readlink(link) // one that has been closed meanwhile is no listener
		held[target] = true
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		const local, state, queues, inode = 1, 3, 4, 9
		fields := strings.Fields(line)
		if fields[state] != "0A" || !strings.HasSuffix(fields[local], fmt.Sprintf(":%04X", port)) || !held["socket:["+fields[inode]+"]"] {
			continue
		}
		_, receive, _ := strings.Cut(fields[queues], ":")
		length, err := strconv.ParseUint(receive, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		return int(length)
	}
	t.Fatalf("process %d does not listen on port %d", pid, port)
	return 0
}

// reusePort sets SO_REUSEPORT, and binds the listener to an interface unless its name is empty.
func reusePort(device string) func(*net.ListenConfig) {
	return func(c *net.ListenConfig) {
		c.Control = func(_, _ string, raw syscall.RawConn) (err error) {
			control := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
				if err == nil && device != "" {
					err = unix.BindToDevice(int(fd), device)
				}
			})
			if control != nil {
				return control
			}
			return err
		}
	}
}

func TestUnacceptedSocketsBelongToTheWorkerWhoseQueueTheyAreIn(t *testing.T) {
	hosttest.Require(t)
	hung := leaktest.Start(t, "--idle-listen=127.0.0.1:0", "--reuseport=1", "--unaccepted=20")
	port := hung.IdleListeners[0].Port()
	listen(t, fmt.Sprintf("127.0.0.1:%d", port), reusePort("")) // a worker that serves
	connect(t, listen(t, "127.0.0.1:0")).CloseClient()          // and leaks something else
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		if n, exact := v.holder(hung.PID).UnacceptedCount(); n != 20 || !exact {
			t.Errorf("%d unaccepted (exact: %v), want 20", n, exact)
		}
		if h := v.holder(os.Getpid()); h.Unaccepted.Len() != 0 || h.Ended.Len() != 1 {
			t.Errorf("the worker that serves has %d unaccepted and %d held, want 0 and 1", h.Unaccepted.Len(), h.Ended.Len())
		}
	})
}

func TestWhereSeveralQueuesAreNotEmptyEachHasAtMostItsOwnLength(t *testing.T) {
	hosttest.Require(t)
	one := leaktest.Start(t, "--idle-listen=127.0.0.1:0", "--reuseport=1", "--unaccepted=20")
	port := one.IdleListeners[0].Port()
	two := leaktest.Start(t, fmt.Sprintf("--idle-listen=127.0.0.1:%d", port), "--reuseport=1", "--unaccepted=40")
	check := func(t *testing.T, kind scannerKind, exact bool) {
		v := openTracked(t, kind, scan.Options{}).view()
		for _, pid := range []int{one.PID, two.PID} {
			n, isExact := v.holder(pid).UnacceptedCount()
			if want := queueLength(t, pid, port); n != want || isExact != exact {
				t.Errorf("%d unaccepted (exact: %v), want %d (exact: %v)", n, isExact, want, exact)
			}
		}
		if total := v.Sockets.Of(closewait.IPv4, closewait.OwnedByListener); total != 60 {
			t.Errorf("%d unaccepted on the host, want 60", total)
		}
	}
	t.Run("the peers of all have closed", func(t *testing.T) {
		withEachScanner(t, func(t *testing.T, kind scannerKind) { check(t, kind, true) })
	})
	dial(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
	t.Run("a connection that lives waits too", func(t *testing.T) {
		withEachScanner(t, func(t *testing.T, kind scannerKind) { check(t, kind, false) })
	})
}

func TestListenersOnDifferentInterfacesHaveTheirOwnConnections(t *testing.T) {
	hosttest.Require(t)
	everywhere := leaktest.Start(t, "--idle-listen=127.0.0.1:0", "--reuseport=1", "--unaccepted=3")
	port := everywhere.IdleListeners[0].Port()
	onLoopback := listen(t, fmt.Sprintf("127.0.0.1:%d", port), reusePort("lo"))
	for range 2 { // the kernel prefers the listener on the interface
		abandon(t, onLoopback)
	}
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		if a, b := v.unaccepted(everywhere.PID), v.unaccepted(os.Getpid()); a != 3 || b != 2 {
			t.Errorf("%d on all interfaces and %d on one, want 3 and 2", a, b)
		}
		for _, s := range v.all() {
			if !s.Accepted() && s.Contested == kind.cookies { // tables of /proc have no interface
				t.Errorf("contested: %v", s.Contested)
			}
		}
	})
}

// TestWhoOnlyKeepsAListenerHasNoUnacceptedSockets has a child that has accepted a connection, as
// after socket activation, and a parent that only keeps the listener.
func TestWhoOnlyKeepsAListenerHasNoUnacceptedSockets(t *testing.T) {
	leaktest.RequireRoot(t)
	listener := listen(t, "127.0.0.1:0")
	accepted := connect(t, listener)
	accepted.CloseClient()
	abandon(t, listener)
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	socket, err := accepted.Server.File()
	if err != nil {
		t.Fatal(err)
	}
	if err := accepted.Server.Close(); err != nil {
		t.Fatal(err)
	}
	child := keepOpen(t, file, socket)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		if n := v.unaccepted(child.Pid); n != 1 {
			t.Errorf("the child that accepts has %d unaccepted, want 1", n)
		}
		if h := v.find(os.Getpid()); h != nil {
			t.Errorf("the parent that keeps the listener has %d unaccepted and %d held", h.Unaccepted.Len(), h.Ended.Len())
		}
	})
}

func TestTheFullestAcceptQueueIsThatOfAllListeners(t *testing.T) {
	hosttest.Require(t)
	listen(t, "127.0.0.1:0") // empty
	listener := listen(t, "127.0.0.1:0")
	kerneltest.Descriptor(t, listener, func(fd int) {
		if err := unix.Listen(fd, 10); err != nil { // changes the backlog
			t.Fatal(err)
		}
	})
	for range 4 {
		abandon(t, listener)
	}
	dial(t, listener.Addr().(*net.TCPAddr).AddrPort()) // stays
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		q := openTracked(t, kind, scan.Options{}).view().holder(os.Getpid()).Queues.Fullest
		want := closewait.AcceptQueue{Length: 5, Backlog: 10, Known: true}
		if kind.name == scan.ScannerProcFS { // tables of /proc have no backlog
			want = closewait.AcceptQueue{}
		}
		if q != want {
			t.Errorf("%+v, want %+v", q, want)
		}
	})
}

// dial makes a connection that stays until the test ends.
func dial(t *testing.T, to netip.AddrPort) {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
}
