package scan_test

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
)

// place is an address on which an actor listens, and the address to which its clients connect.
type place struct {
	bound, via netip.Addr
	protocol   int
}

// listenPlaces has a place of each kind.
var listenPlaces = []place{
	{bound: netip.MustParseAddr("127.0.0.1"), via: netip.MustParseAddr("127.0.0.1")},
	{bound: netip.MustParseAddr("0.0.0.0"), via: netip.MustParseAddr("127.0.0.2")},
	{bound: netip.MustParseAddr("::1"), via: netip.MustParseAddr("::1")},
	{bound: netip.MustParseAddr("::"), via: netip.MustParseAddr("127.0.0.1")}, // v4-mapped
	{bound: netip.MustParseAddr("127.0.0.1"), via: netip.MustParseAddr("127.0.0.1"), protocol: unix.IPPROTO_MPTCP},
}

// listener is an open listener of an actor.
type listener struct {
	place
	fd   int
	port uint16
}

func openListener(p place) (*listener, error) {
	fd, err := newSocketOf(p.bound, p.protocol)
	if err != nil && p.protocol != 0 { // a kernel without MPTCP
		fd, err = newSocketOf(p.bound, 0)
	}
	if err != nil {
		return nil, err
	}
	if p.bound.Is6() {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	err = errors.Join(err, unix.Bind(fd, sockaddr(netip.AddrPortFrom(p.bound, 0))), unix.Listen(fd, 64))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	local, err := tcp.LocalAddr(fd)
	return &listener{p, fd, local.Port()}, err
}

// connect connects a client.
func (d *listener) connect(protocol int) (client int, local, remote netip.AddrPort, err error) {
	remote = netip.AddrPortFrom(d.via, d.port)
	if client, err = newSocketOf(d.via, protocol); err != nil {
		return -1, local, remote, err
	}
	if err = unix.Connect(client, sockaddr(remote)); err == nil {
		if local, err = tcp.LocalAddr(client); err == nil {
			return client, local, remote, unix.SetNonblock(client, true)
		}
	}
	unix.Close(client)
	return -1, local, remote, err
}

// accept accepts the next connection and returns the address of its client as the accepted socket
// shows it.
func (d *listener) accept() (fd int, caller netip.AddrPort, err error) {
	fd, sa, err := unix.Accept4(d.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return -1, caller, err
	}
	return fd, addrPortOfSockaddr(sa), nil // getpeername(2) fails if the client has reset it
}

// asSeenBy returns an address as a socket of this listener shows it: v4-mapped if the listener is
// on [::].
func (d *listener) asSeenBy(a netip.AddrPort) netip.AddrPort {
	if d.bound.Is6() && a.Addr().Is4() {
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
	}
	return a
}

func newSocketOf(family netip.Addr, protocol int) (int, error) {
	domain := unix.AF_INET6
	if family.Is4() {
		domain = unix.AF_INET
	}
	return unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// addrPortOfSockaddr leaves v4-mapped addresses as they are.
func addrPortOfSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
