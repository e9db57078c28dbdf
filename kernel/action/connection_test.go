package action

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/kernel/host"
)

// halfClosed is an accepted connection in CLOSE_WAIT. Its peer can still read.
type halfClosed struct {
	accepted *net.TCPConn
	peer     *net.TCPConn
}

// place is a kind of addresses between which a connection is made.
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

// detach returns a file with the accepted end, which it closes otherwise.
func (c halfClosed) detach(t *testing.T) *os.File {
	t.Helper()
	file, err := c.accepted.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	_ = c.accepted.Close()
	return file
}

// otherPort returns the address with another port.
func otherPort(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), a.Port()^1) }

// requireUntouched fails if the peer notices that anything happened to its connection.
func requireUntouched(t *testing.T, peer *net.TCPConn) {
	t.Helper()
	kerneltest.Descriptor(t, peer, func(fd int) {
		n, _, err := syscall.Recvfrom(fd, make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err != syscall.EAGAIN {
			t.Errorf("the peer reads %d bytes, %v: its connection was touched", n, err)
		}
	})
}
