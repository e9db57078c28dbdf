package scan_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// connection is a connection of this test with itself. Both ends are closed with the test.
type connection struct {
	t               testing.TB
	client, server  *net.TCPConn
	local, remote   netip.AddrPort // of the server
	closing, closed time.Time      // before and after the client closed
}

// listen opens a listener for plain TCP. Go would make it MPTCP by default.
func listen(t testing.TB, address string, options ...func(*net.ListenConfig)) *net.TCPListener {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	for _, option := range options {
		option(&config)
	}
	l, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// connect connects to a listener and accepts.
func connect(t testing.TB, l *net.TCPListener) *connection {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return &connection{t: t, client: client.(*net.TCPConn), server: server,
		local: addrPort(server.LocalAddr()), remote: addrPort(server.RemoteAddr())}
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

// send sends bytes from the client to the server.
func (c *connection) send(words string) {
	c.t.Helper()
	if _, err := c.client.Write([]byte(words)); err != nil {
		c.t.Fatal(err)
	}
}

// closePeer closes the client, so that the server is in CLOSE_WAIT.
func (c *connection) closePeer() {
	c.t.Helper()
	c.closing = time.Now()
	if err := c.client.Close(); err != nil {
		c.t.Fatal(err)
	}
	c.closed = time.Now() // on loopback the FIN has arrived by now
}

// readAll reads to the end on the server.
func (c *connection) readAll() {
	c.t.Helper()
	if _, err := io.ReadAll(c.server); err != nil && !errors.Is(err, io.EOF) {
		c.t.Fatal(err)
	}
}

// shutPeer closes the client for writing, so that it can still read what the server sends.
func (c *connection) shutPeer() {
	c.t.Helper()
	c.closing = time.Now()
	if err := c.client.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
	c.closed = time.Now()
}

// reply sends bytes from the server to the client, which reads them.
func (c *connection) reply(words string) {
	c.t.Helper()
	if _, err := c.server.Write([]byte(words)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.ReadFull(c.client, make([]byte, len(words))); err != nil {
		c.t.Fatal(err)
	}
}

// leakOne returns a socket in CLOSE_WAIT, for a process that has no test.
func leakOne() (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	server, err := l.Accept()
	return server, errors.Join(err, client.Close())
}
