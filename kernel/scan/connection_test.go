package scan_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// connection is a connection of this test with itself. It knows when its client closed.
type connection struct {
	*leaktest.Connection

	t               testing.TB
	closing, closed time.Time // before the client closed, and when the server was in CLOSE_WAIT
}

func listen(t testing.TB, address string, options ...func(*net.ListenConfig)) *net.TCPListener {
	t.Helper()
	return leaktest.Listen(t, "tcp", address, options...)
}

func connect(t testing.TB, l *net.TCPListener) *connection {
	t.Helper()
	return &connection{Connection: leaktest.Connect(t, l), t: t}
}

// CloseClient closes the client and returns when the server is in CLOSE_WAIT.
func (c *connection) CloseClient() {
	c.t.Helper()
	c.closing = time.Now()
	c.Connection.CloseClient()
	c.closed = time.Now()
}

// HalfCloseClient closes the client for writing and returns when the server is in CLOSE_WAIT.
func (c *connection) HalfCloseClient() {
	c.t.Helper()
	c.closing = time.Now()
	c.Connection.HalfCloseClient()
	c.closed = time.Now()
}

func (c *connection) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// send sends bytes from the client to the server.
func (c *connection) send(data string) {
	c.t.Helper()
	if _, err := c.Client.Write([]byte(data)); err != nil {
		c.t.Fatal(err)
	}
}

// readAll reads to the end on the server.
func (c *connection) readAll() {
	c.t.Helper()
	if _, err := io.ReadAll(c.Server); err != nil && !errors.Is(err, io.EOF) {
		c.t.Fatal(err)
	}
}

// reply sends bytes from the server to the client, which reads them.
func (c *connection) reply(data string) {
	c.t.Helper()
	if _, err := c.Server.Write([]byte(data)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.ReadFull(c.Client, make([]byte, len(data))); err != nil {
		c.t.Fatal(err)
	}
}
