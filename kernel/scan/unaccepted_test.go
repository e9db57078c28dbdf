package scan_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/kernel/scan"
)

func TestUnacceptedSocketsBelongToTheHolderOfTheirListener(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
	}{
		{"on an IPv4 address", []string{"--idle-listen=127.0.0.1:0"}},
		{"on the IPv4 wildcard", []string{"--idle-listen=0.0.0.0:0"}},
		{"on an IPv6 address", []string{"--idle-listen=[::1]:0"}},
		{"on the dual-stack wildcard, from an IPv6 client", []string{"--idle-listen=[::]:0"}},
		{"on the dual-stack wildcard, from an IPv4 client", []string{"--idle-listen=[::]:0", "--connect=127.0.0.1"}},
		{"on a v4-mapped address", []string{"--idle-listen=[::ffff:127.0.0.1]:0"}},
		{"on two listeners of one process with SO_REUSEPORT", []string{"--idle-listen=127.0.0.1:0", "--reuseport=2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := leaktest.Start(t, append(c.args, "--unaccepted=5", "--unread=fin", "--unread=7")...)
			leaktest.Start(t, "--unaccepted=1") // another program of the same sort
			withEachScanner(t, func(t *testing.T, kind scannerKind) {
				v := openTracked(t, kind, scan.Options{}).view()
				v.agrees(l)
				h := v.holder(l.PID)
				if h.Unaccepted.Len() != 5 || h.Ended.Len() != 0 {
					t.Errorf("%d unaccepted and %d held, want 5 and 0", h.Unaccepted.Len(), h.Ended.Len())
				}
				if h.Unaccepted.UnreadBytes != 14 {
					t.Errorf("%d bytes unread, want 14", h.Unaccepted.UnreadBytes)
				}
			})
		})
	}
}

func TestTheListenerThatTheKernelPrefersHasTheUnacceptedSockets(t *testing.T) {
	for _, c := range []struct{ name, preferred, other, connect string }{
		{"an IPv4 address before the wildcard", "127.0.0.1", "0.0.0.0", "127.0.0.1"},
		{"an IPv6 address before the wildcard", "[::1]", "[::]", "::1"},
		{"an IPv4 address before the dual-stack wildcard", "127.0.0.1", "[::]", "127.0.0.1"},
		{"the IPv4 wildcard before the dual-stack one", "0.0.0.0", "[::]", "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			preferred := leaktest.Start(t, "--idle-listen="+c.preferred+":0", "--connect="+c.connect, "--reuseport=1", "--unaccepted=2")
			other := leaktest.Start(t, fmt.Sprintf("--idle-listen=%s:%d", c.other, preferred.IdleListeners[0].Port()),
				"--connect="+c.connect, "--reuseport=1", "--unaccepted=3")
			withEachScanner(t, func(t *testing.T, kind scannerKind) {
				v := openTracked(t, kind, scan.Options{}).view()
				if a, b := v.unaccepted(preferred.PID), v.unaccepted(other.PID); a != 5 || b != 0 {
					t.Errorf("%d for the preferred and %d for the other, want 5 and 0", a, b)
				}
			})
		})
	}
}

func TestV4MappedSocketsNeverBelongToAnIPv4Listener(t *testing.T) {
	dual := leaktest.Start(t, "--idle-listen=[::]:0", "--connect=127.0.0.1", "--reuseport=1", "--unaccepted=3")
	ipv4 := leaktest.Start(t, fmt.Sprintf("--idle-listen=0.0.0.0:%d", dual.IdleListeners[0].Port()), "--reuseport=1", "--unaccepted=2")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		if a, b := v.unaccepted(dual.PID), v.unaccepted(ipv4.PID); a != 3 || b != 2 {
			t.Errorf("%d for the dual-stack and %d for the IPv4 listener, want 3 and 2", a, b)
		}
	})
}

func TestBothHoldersOfAnInheritedListenerHaveItsUnacceptedSockets(t *testing.T) {
	leaktest.RequireRoot(t)
	listener := listen(t, "127.0.0.1:0")
	abandon(t, listener)
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	child := keepOpen(t, file)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		for _, pid := range []int{os.Getpid(), child.Pid} {
			if n := v.unaccepted(pid); n != 1 {
				t.Errorf("process %d has %d unaccepted, want 1", pid, n)
			}
		}
		if s := v.holder(child.Pid).Unaccepted; s.Shared != 1 {
			t.Errorf("%d shared, want 1", s.Shared)
		}
	})
}

func TestAnAcceptedSocketIsHeldAndKeepsItsAge(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		l := leaktest.Start(t, "--unaccepted=3")
		ns := netNSOf(t, l.PID)
		scanner := openTracked(t, kind, scan.Options{})
		before := scanner.view()
		first := l.Sockets[0]
		since := before.socket(ns, first.Local, first.Remote).Since
		l.Do("accept 2")
		v := scanner.view()
		v.agrees(l)
		h := v.holder(l.PID)
		if h.Ended.Len() != 2 || h.Unaccepted.Len() != 1 {
			t.Errorf("%d held and %d unaccepted, want 2 and 1", h.Ended.Len(), h.Unaccepted.Len())
		}
		if !kind.cookies { // without cookies it takes them for other sockets
			return
		}
		if s := v.socket(ns, first.Local, first.Remote); !s.Since.Equal(since) {
			t.Errorf("since %v, and before it was accepted %v", s.Since, since)
		}
		if h.Entered != 2 || h.Left != 0 {
			t.Errorf("%d entered and %d left, want the 2 that were accepted and 0", h.Entered, h.Left)
		}
	})
}

// TestMultipathSocketsOfGoServersAreFound holds because the kernel gives the TCP socket below a
// multipath one the inode of the latter. Go servers listen so by default.
func TestMultipathSocketsOfGoServersAreFound(t *testing.T) {
	hosttest.Require(t)
	listener := listen(t, "127.0.0.1:0", func(c *net.ListenConfig) { c.SetMultipathTCP(true) })
	abandon(t, listener)
	for range 2 {
		connect(t, listener).CloseClient()
	}
	abandon(t, listener)
	abandon(t, listener)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		if held, waiting := v.held(os.Getpid()), v.unaccepted(os.Getpid()); held != 2 || waiting != 3 {
			t.Errorf("%d held and %d unaccepted, want 2 and 3", held, waiting)
		}
		if n := len(v.Ownerless); n != 0 {
			t.Errorf("%d sockets without a holder", n)
		}
	})
}

// abandon connects to a listener and closes the connection before it is accepted.
func abandon(t testing.TB, l *net.TCPListener) {
	t.Helper()
	client, _, err := tcp.Connect(netip.Addr{}, l.Addr().(*net.TCPAddr).AddrPort(), unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	if err := tcp.CloseAll([]int{client}); err != nil {
		t.Fatal(err)
	}
}

// keepOpen starts a process that has files open until the test ends, and closes our descriptors.
func keepOpen(t testing.TB, files ...*os.File) *os.Process {
	t.Helper()
	cmd := exec.Command("cat")
	cmd.ExtraFiles = files
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	for _, file := range files {
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return cmd.Process
}
