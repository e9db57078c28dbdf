// Package tcp makes TCP connections between two ends on one host, and ends them in the ways that
// leave a socket in CLOSE_WAIT or closed. cmd/leak and the tests make all their leaked sockets with
// it.
//
// Sockets are plain file descriptors. The poller of the Go runtime does not know them, they can
// live in the descriptor table of a single thread, and no finalizer closes them.
package tcp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// backlog is the length of an accept queue; net.core.somaxconn caps it (4096 by default).
const backlog = 4096

// timeout is how long the kernel may take for anything between two ends on one host. It only bounds
// a test that has gone wrong, so it is long enough for a loaded machine.
const timeout = 30 * time.Second

// Listen opens a listener of a protocol, IPPROTO_TCP or IPPROTO_MPTCP. One on [::] takes IPv4
// connections as well (v4-mapped).
func Listen(at netip.AddrPort, reusePort bool, protocol int) (fd int, bound netip.AddrPort, err error) {
	domain, sa := sockaddrOf(at)
	fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return -1, bound, fmt.Errorf("open a listener: %w", err)
	}
	options := []int{unix.SO_REUSEADDR}
	if reusePort {
		options = append(options, unix.SO_REUSEPORT)
	}
	for _, option := range options {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1))
	}
	if domain == unix.AF_INET6 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0))
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err == nil {
		bound, err = LocalAddr(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, bound, fmt.Errorf("listen on %v: %w", at, err)
	}
	return fd, bound, nil
}

// Connect opens a connection of a protocol from the given address, or from one that the kernel
// chooses. It fails after a while where the accept queue is full.
func Connect(from netip.Addr, to netip.AddrPort, protocol int) (fd int, local netip.AddrPort, err error) {
	domain, sa := sockaddrOf(to)
	fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, local, fmt.Errorf("open a connection: %w", err)
	}
	limit := unix.NsecToTimeval(int64(timeout))
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	if err == nil && from.IsValid() {
		err = bindAddr(fd, from)
	}
	if err == nil {
		err = unix.Connect(fd, sa)
		for errors.Is(err, unix.EINTR) { // SO_SNDTIMEO forbids a restart; a second call waits on
			err = unix.Connect(fd, sa)
		}
	}
	if err == nil {
		local, err = LocalAddr(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, local, fmt.Errorf("connect to %v: %w", to, err)
	}
	return fd, local, nil
}

// Unconnected opens a socket without a connection: its connect(2) to the given address is refused,
// or not called if the port is 0. The address decides its family.
func Unconnected(to netip.AddrPort, protocol int) (fd int, err error) {
	domain, sa := sockaddrOf(to)
	if fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol); err != nil {
		return -1, fmt.Errorf("open a socket: %w", err)
	}
	if to.Port() == 0 {
		return fd, nil
	}
	if err := unix.Connect(fd, sa); !errors.Is(err, unix.ECONNREFUSED) {
		unix.Close(fd)
		return -1, fmt.Errorf("connect to %v, where nothing should listen: %w", to, err)
	}
	return fd, nil
}

// bindAddr binds to an address and leaves the port to connect(2), which then takes a port for this
// destination only, not for all.
func bindAddr(fd int, from netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	_, sa := sockaddrOf(netip.AddrPortFrom(from, 0))
	return unix.Bind(fd, sa)
}

// Accept takes the next connection from the queue of any of the listeners.
func Accept(listeners []int) (fd int, remote netip.AddrPort, err error) {
	polls := make([]unix.PollFd, len(listeners))
	for i, l := range listeners {
		polls[i] = unix.PollFd{Fd: int32(l), Events: unix.POLLIN}
	}
	n, err := unix.Poll(polls, int(timeout.Milliseconds()))
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(polls, int(timeout.Milliseconds()))
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("no connection came in %v", timeout)
	}
	for i := range polls {
		if err == nil && polls[i].Revents != 0 {
			var sa unix.Sockaddr
			fd, sa, err = unix.Accept4(listeners[i], unix.SOCK_CLOEXEC)
			if err == nil {
				return fd, addrPortOf(sa), nil
			}
		}
	}
	return -1, remote, fmt.Errorf("accept: %w", err)
}
