package action

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
)

// place is a kind of addresses between which a connection is made.
type place struct{ name, network, listen, dial string }

var places = []place{
	{"IPv4", "tcp4", "127.0.0.1:0", "127.0.0.1"},
	{"IPv6", "tcp6", "[::1]:0", "::1"},
	{"v4-mapped", "tcp", "[::]:0", "127.0.0.1"},
}

// connect makes a connection whose client has closed its half.
func (p place) connect(t *testing.T) *leaktest.Connection {
	t.Helper()
	listener := leaktest.Listen(t, p.network, p.listen)
	defer listener.Close()
	return p.connectTo(t, listener, &net.Dialer{})
}

// connectTo makes a connection to a listener at this place. Its client has closed its half.
func (p place) connectTo(t *testing.T, listener *net.TCPListener, dialer *net.Dialer) *leaktest.Connection {
	t.Helper()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := leaktest.ConnectTo(t, listener, net.JoinHostPort(p.dial, port), dialer)
	c.HalfCloseClient()
	return c
}

// detach returns a file with the server's end, which it closes otherwise.
func detach(t *testing.T, c *leaktest.Connection) *os.File {
	t.Helper()
	file, err := c.Server.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	_ = c.Server.Close()
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
