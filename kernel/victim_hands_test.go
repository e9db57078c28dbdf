package kernel

import (
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// soon is for how long a test waits for what must come.
const soon = 20 * time.Second

// newHands returns an Executor for this host.
func newHands(t testing.TB) *Hands {
	t.Helper()
	leaktest.RequireRoot(t)
	proc, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proc.Close)
	h, err := NewHands(proc, ExecutorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// socketsOf returns the accepted sockets in CLOSE_WAIT that a process holds, as a scan finds them.
func socketsOf(t testing.TB, pid int) (held []*closewait.Socket) {
	t.Helper()
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	byInode := map[uint64]*closewait.Socket{}
	for _, ns := range h.Namespaces([]int{pid}) {
		err := h.InNamespace(t.Context(), ns.ID, func() error {
			_, err := sockdiag.NewDumper(host.TCPCloseWait).Dump(t.Context(), func(row *sockdiag.Row) {
				s := &closewait.Socket{Facts: closewait.Facts{
					ID: closewait.CookieID(ns.ID, row.Cookie), Local: row.Local, Remote: row.Remote, Inode: uint64(row.Inode),
				}}
				if s.Accepted() {
					byInode[s.Inode] = s
				}
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, err := h.Proc.OpenPID(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	found, err := fdscan.Find(t.Context(), h, dir, pid, slices.Collect(maps.Keys(byInode)))
	if err != nil {
		t.Fatal(err)
	}
	for inode := range found {
		held = append(held, byInode[inode])
	}
	return held
}

// halfClosed is an accepted connection in CLOSE_WAIT. Its peer can still read.
type halfClosed struct {
	accepted *net.TCPConn
	peer     *net.TCPConn
}

// place says where a connection is made.
type place struct{ name, network, listen, dial string }

var places = []place{
	{"IPv4", "tcp4", "127.0.0.1:0", "127.0.0.1"},
	{"IPv6", "tcp6", "[::1]:0", "::1"},
	{"v4-mapped", "tcp", "[::]:0", "127.0.0.1"},
}

// connect makes a connection whose peer has closed its half.
func (p place) connect(t *testing.T) halfClosed {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(t.Context(), p.network, p.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, listener, net.JoinHostPort(p.dial, port), &net.Dialer{})
}

func connect(t *testing.T, listener net.Listener, to string, dialer *net.Dialer) halfClosed {
	t.Helper()
	peer, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := halfClosed{accepted.(*net.TCPConn), peer.(*net.TCPConn)}
	t.Cleanup(func() {
		_ = c.accepted.Close()
		_ = c.peer.Close()
	})
	if err := c.peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	kerneltest.AwaitState(t, c.accepted, host.TCPCloseWait)
	return c
}

// giveAway closes the accepted end here once others have it.
func (c halfClosed) giveAway(t *testing.T) *os.File {
	t.Helper()
	file, err := c.accepted.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	_ = c.accepted.Close()
	return file
}

// victim is a process that holds a socket in CLOSE_WAIT whose peer is in this process.
type victim struct {
	cmd    *exec.Cmd
	socket *closewait.Socket
	peer   *net.TCPConn
}

// newVictim starts a process that does nothing about its socket, which is its descriptor 3.
func newVictim(t *testing.T, at place) victim {
	t.Helper()
	c := at.connect(t)
	file := c.giveAway(t)
	cmd := startSleep(t, file)
	_ = file.Close()
	list := socketsOf(t, cmd.Process.Pid)
	if len(list) != 1 {
		t.Fatalf("the scan finds %d sockets, want one", len(list))
	}
	return victim{cmd, list[0], c.peer}
}

func (v victim) pid() int { return v.cmd.Process.Pid }

// holdsSocket tells whether descriptor 3 is still the socket.
func (v victim) holdsSocket(t *testing.T) bool {
	t.Helper()
	link, err := os.Readlink("/proc/" + itoa(v.pid()) + "/fd/3")
	return err == nil && link == "socket:["+utoa(v.socket.Inode)+"]"
}

// peerGets is the error that ends the reading of the peer.
func (v victim) peerGets(t *testing.T) error {
	t.Helper()
	if err := v.peer.SetReadDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	_, err := v.peer.Read(make([]byte, 1))
	return err
}

// stillOpen tells that the peer has noticed nothing.
func stillOpen(t *testing.T, peer *net.TCPConn) {
	t.Helper()
	kerneltest.Descriptor(t, peer, func(fd int) {
		n, _, err := syscall.Recvfrom(fd, make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err != syscall.EAGAIN {
			t.Errorf("the peer reads %d bytes, %v: its connection was touched", n, err)
		}
	})
}

// other is an address with another port.
func other(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), a.Port()^1) }
