package kerneltest

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"

	"golang.org/x/sys/unix"
)

// LiveSocket holds what the tables of the kernel should say about a socket of this process.
type LiveSocket struct {
	State                uint8
	Local, Remote        netip.AddrPort
	Inode, Cookie        uint64
	RecvQueue            uint32 // bytes; the FIN counts as one
	BytesRead, BytesSent uint64 // received and sent by the kernel; the FIN counts as one
	UID                  uint32
}

// LiveSockets makes listeners and sockets in CLOSE_WAIT on the loopback, and returns them by
// description. They are closed at the end of the test.
func LiveSockets(t *testing.T) map[string]LiveSocket {
	t.Helper()
	made := map[string]LiveSocket{}
	// Go listens with MPTCP where it can. The cookie of an MPTCP socket differs from the cookie of the
	// TCP socket below it, which is the one in the tables.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	for _, place := range []struct{ name, network, listen, dial string }{
		{"IPv4", "tcp4", "127.0.0.1", "127.0.0.1"},
		{"IPv4 wildcard", "tcp4", "0.0.0.0", "127.0.0.2"},
		{"IPv6", "tcp6", "::1", "::1"},
		{"v4-mapped on a dual-stack wildcard", "tcp", "::", "127.0.0.1"},
	} {
		l, err := config.Listen(t.Context(), place.network, net.JoinHostPort(place.listen, "0"))
		if err != nil {
			t.Logf("no %s here: %v", place.name, err)
			continue
		}
		t.Cleanup(func() { _ = l.Close() })
		listener := l.(*net.TCPListener)
		made[place.name+" listener"] = Describe(t, listener)
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		to := net.JoinHostPort(place.dial, port)
		made[place.name+", only the FIN unread"] = closeWait(t, listener, to, "", false)
		made[place.name+", data unread"] = closeWait(t, listener, to, "hello", false)
		made[place.name+", end of file read"] = closeWait(t, listener, to, "hello", true)
	}
	return made
}

// closeWait makes a connection whose client sends some data and closes, and accepts it. If read is
// true, it reads the data and the end of file.
func closeWait(t *testing.T, listener *net.TCPListener, to, data string, read bool) LiveSocket {
	t.Helper()
	c := leaktest.ConnectTo(t, listener, to, &net.Dialer{})
	if _, err := c.Client.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	c.CloseClient()
	if read {
		if n, err := c.Server.Read(make([]byte, len(data)+1)); n != len(data) || err != nil {
			t.Fatalf("read %d bytes, %v, want %d", n, err, len(data))
		}
		if _, err := c.Server.Read(make([]byte, 1)); err == nil {
			t.Fatal("there is more to read than was written")
		}
	}
	s := Describe(t, c.Server)
	s.BytesRead = uint64(len(data)) + 1 // the FIN counts
	if !read {
		s.RecvQueue = uint32(len(data)) + 1
	}
	return s
}

// Descriptor calls f with the descriptor of a socket.
func Descriptor(t *testing.T, s syscall.Conn, f func(fd int)) {
	t.Helper()
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { f(int(fd)) }); err != nil {
		t.Fatal(err)
	}
}

// Describe returns the facts of a socket by system calls on its descriptor. It leaves out the queue
// and the numbers of bytes.
func Describe(t *testing.T, s syscall.Conn) LiveSocket {
	t.Helper()
	made := LiveSocket{UID: uint32(os.Getuid())}
	Descriptor(t, s, func(fd int) {
		var file unix.Stat_t
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		if err := errors.Join(err, unix.Fstat(fd, &file)); err != nil {
			t.Fatal(err)
		}
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		made.State, made.Inode, made.Cookie = info.State, file.Ino, cookie
		local, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		made.Local = addrPortOf(local)
		made.Remote = netip.AddrPortFrom(unspecified(made.Local.Addr()), 0)
		if remote, err := unix.Getpeername(fd); err == nil {
			made.Remote = addrPortOf(remote)
		}
	})
	return made
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// addrPortOf leaves v4-mapped addresses as they are, which package net does not.
func addrPortOf(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
