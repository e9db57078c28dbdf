package bpf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// connection is a TCP connection between two sockets of this process.
type connection struct{ client, server *net.TCPConn }

func listen(t *testing.T, address string, mptcp bool) net.Listener {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(mptcp)
	listener, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func connect(t *testing.T, listener net.Listener) connection {
	t.Helper()
	var dialer net.Dialer
	client, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return connection{client.(*net.TCPConn), server.(*net.TCPConn)}
}

func write(t *testing.T, c *net.TCPConn, data string) {
	t.Helper()
	if _, err := c.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
}

func closeWrite(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// awaitEnd waits for the FIN and reads nothing.
func awaitEnd(t *testing.T, c *net.TCPConn) { awaitEvent(t, c, unix.POLLRDHUP) }

// abort makes the client reset the connection, and waits until the server has noticed.
func abort(t *testing.T, c connection) {
	t.Helper()
	if err := errors.Join(c.client.SetLinger(0), c.client.Close()); err != nil {
		t.Fatal(err)
	}
	awaitEvent(t, c.server, unix.POLLHUP)
}

func awaitEvent(t *testing.T, c *net.TCPConn, event int16) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got error
	err = raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: event}}
		const timeout = 10_000 // milliseconds
		if n, err := unix.Poll(polled, timeout); n != 1 || err != nil {
			got = fmt.Errorf("%d events, %w", n, err)
		}
	})
	if err := errors.Join(err, got); err != nil {
		t.Fatal(err)
	}
}

func remoteOf(c connection) netip.AddrPort { return c.server.RemoteAddr().(*net.TCPAddr).AddrPort() }

func cookieOf(t *testing.T, c connection) (cookie uint64) {
	t.Helper()
	raw, err := c.server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { cookie, failed = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return cookie
}
