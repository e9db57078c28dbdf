package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Sockets are plain descriptors here: no poller of the Go runtime has a hand in them, they can live
// in the descriptor table of a single thread, and nothing closes them behind our back.

// States of a TCP socket, from include/net/tcp_states.h.
const (
	stateFinWait2  = 5
	stateClose     = 7
	stateCloseWait = 8
)

// backlog is how long an accept queue may get; net.core.somaxconn caps it (4096 as a rule).
const backlog = 4096

// patience is how long the kernel may take for anything between two ends on one host.
const patience = 10 * time.Second

func sockaddrOf(a netip.AddrPort) (domain int, sa unix.Sockaddr) {
	if a.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// addrPortOf keeps v4-mapped addresses mapped.
func addrPortOf(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// listen opens a listener. One on [::] takes IPv4 too (v4-mapped).
func listen(at netip.AddrPort, reusePort bool) (fd int, bound netip.AddrPort, err error) {
	domain, sa := sockaddrOf(at)
	fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
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
		bound, err = localOf(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, bound, fmt.Errorf("listen on %v: %w", at, err)
	}
	return fd, bound, nil
}

// connect opens a connection from the given address, or from one that the kernel chooses. It does
// not wait for ever where the accept queue is full.
func connect(from netip.Addr, to netip.AddrPort) (fd int, local netip.AddrPort, err error) {
	domain, sa := sockaddrOf(to)
	fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, local, fmt.Errorf("open a connection: %w", err)
	}
	limit := unix.NsecToTimeval(int64(patience))
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	if err == nil && from.IsValid() {
		err = bindAddr(fd, from)
	}
	if err == nil {
		err = unix.Connect(fd, sa)
		for errors.Is(err, unix.EINTR) { // SO_SNDTIMEO forbids a restart; to ask again is to wait on
			err = unix.Connect(fd, sa)
		}
	}
	if err == nil {
		local, err = localOf(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, local, fmt.Errorf("connect to %v: %w", to, err)
	}
	return fd, local, nil
}

// bindAddr binds to an address and leaves the port to connect: a port is then taken for this
// destination only, not for all.
func bindAddr(fd int, from netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	_, sa := sockaddrOf(netip.AddrPortFrom(from, 0))
	return unix.Bind(fd, sa)
}

func localOf(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return addrPortOf(sa), nil
}

// acceptAny takes the next connection from the queue of whichever listener has one.
func acceptAny(listeners []int) (fd int, remote netip.AddrPort, err error) {
	polls := make([]unix.PollFd, len(listeners))
	for i, l := range listeners {
		polls[i] = unix.PollFd{Fd: int32(l), Events: unix.POLLIN}
	}
	n, err := unix.Poll(polls, int(patience.Milliseconds()))
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(polls, int(patience.Milliseconds()))
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("no connection came in %v", patience)
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

// awaitState returns when the socket is in the given state.
func awaitState(fd int, want uint8) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return fmt.Errorf("read the state of a socket: %w", err)
		}
		if info.State == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("a socket is in state %d after %v, not in %d", info.State, patience, want)
		}
	}
}

// writeAll writes n bytes.
func writeAll(fd, n int) error {
	for n > 0 {
		written, err := unix.Write(fd, make([]byte, n))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("send: %w", err)
		}
		n -= max(written, 0)
	}
	return nil
}

// readToEnd reads up to and including the end of file.
func readToEnd(fd int) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("read to the end: %w", err)
		}
		if err == nil && n == 0 {
			return nil
		}
	}
}
