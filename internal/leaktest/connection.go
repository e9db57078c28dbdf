package leaktest

import (
	"net"
	"net/netip"
	"testing"

	"closewait_exporter/internal/leaktest/tcp"
)

// Connection is a TCP connection with both ends in the test. Both are closed with the test.
type Connection struct {
	Client, Server *net.TCPConn

	t testing.TB
}

// Listen opens a listener that is closed with the test. Go makes listeners MPTCP by default; this
// one is TCP unless an option asks for MPTCP.
func Listen(t testing.TB, network, address string, options ...func(*net.ListenConfig)) *net.TCPListener {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	for _, option := range options {
		option(&config)
	}
	l, err := config.Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener)
}

// Connect connects to a listener of the test and accepts the connection.
func Connect(t testing.TB, l *net.TCPListener) *Connection {
	t.Helper()
	return ConnectTo(t, l, l.Addr().String(), &net.Dialer{})
}

// ConnectTo connects to a listener through a certain address, such as 127.0.0.1 where it listens on
// [::], or from a certain address.
func ConnectTo(t testing.TB, l *net.TCPListener, address string, dialer *net.Dialer) *Connection {
	t.Helper()
	client, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	server, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return &Connection{Client: client.(*net.TCPConn), Server: server, t: t}
}

// Local is the address of the server's end.
func (c *Connection) Local() netip.AddrPort { return c.Server.LocalAddr().(*net.TCPAddr).AddrPort() }

// Remote is the address of the client's end.
func (c *Connection) Remote() netip.AddrPort { return c.Server.RemoteAddr().(*net.TCPAddr).AddrPort() }

// CloseClient closes the client and returns when the server is in CLOSE_WAIT.
func (c *Connection) CloseClient() {
	c.t.Helper()
	c.must(c.Client.Close())
	c.AwaitServer(tcp.CloseWait)
}

// HalfCloseClient closes the client for writing and returns when the server is in CLOSE_WAIT. The
// client can still read.
func (c *Connection) HalfCloseClient() {
	c.t.Helper()
	c.must(c.Client.CloseWrite())
	c.AwaitServer(tcp.CloseWait)
}

// ResetClient closes the client with a RST and returns when the server is closed, whatever state it
// was in.
func (c *Connection) ResetClient() {
	c.t.Helper()
	c.must(c.Client.SetLinger(0))
	c.must(c.Client.Close())
	c.AwaitServer(tcp.Closed)
}

// AwaitServer returns when the server's end is in the given state.
func (c *Connection) AwaitServer(want tcp.State) {
	c.t.Helper()
	raw, err := c.Server.SyscallConn()
	c.must(err)
	var failed error
	c.must(raw.Control(func(fd uintptr) { failed = tcp.AwaitState(int(fd), want) }))
	c.must(failed)
}

func (c *Connection) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}
