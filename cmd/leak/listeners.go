package main

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
)

// listener is an address that we listen on, and the address through which clients reach it.
type listener struct{ bound, via netip.AddrPort }

// listeners are the listening sockets of a server.
type listeners struct {
	listeners []listener
	fds       []int // more than listeners with SO_REUSEPORT
	used      int   // number of calls of next
}

// openListeners opens copies of a listener on each address; more than one needs SO_REUSEPORT, which
// 0 leaves out. Where an address is a wildcard, clients connect to the given one. The protocol is
// IPPROTO_TCP or IPPROTO_MPTCP.
func openListeners(at []netip.AddrPort, through netip.Addr, copies, protocol int) (listeners, error) {
	var opened listeners
	for _, bound := range at {
		for range max(copies, 1) {
			var fd int
			var err error
			if fd, bound, err = tcp.Listen(bound, copies > 0, protocol); err != nil {
				return opened, err
			}
			opened.fds = append(opened.fds, fd)
		}
		via := netip.AddrPortFrom(reachable(bound.Addr(), through), bound.Port())
		opened.listeners = append(opened.listeners, listener{bound, via})
	}
	return opened, nil
}

// reachable is the address through which clients reach a listener.
func reachable(listener, through netip.Addr) netip.Addr {
	switch {
	case !listener.IsUnspecified():
		return listener.Unmap()
	case through.IsValid():
		return through
	case listener.Is4():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// next is the listener for the next client: they take turns.
func (l *listeners) next() listener {
	l.used++
	return l.listeners[(l.used-1)%len(l.listeners)]
}

// close closes the listening sockets; accepted connections stay.
func (l *listeners) close() error {
	var err error
	for _, fd := range l.fds {
		err = errors.Join(err, unix.Close(fd))
	}
	l.fds = nil
	return err
}

// addrs are the addresses that we listen on.
func (l *listeners) addrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, one := range l.listeners {
		addrs = append(addrs, one.bound)
	}
	return addrs
}

// accept accepts connections until one is wanted. Connections of other programs that have found the
// port stay open, like everything here.
func (l *listeners) accept(wanted func(addrPair) bool) (fd int, p addrPair, err error) {
	for {
		fd, remote, err := tcp.Accept(l.fds)
		if err != nil {
			return -1, p, err
		}
		local, err := tcp.LocalAddr(fd)
		if err != nil {
			return -1, p, err
		}
		if p = (addrPair{local, remote}); wanted(p) {
			return fd, p, nil
		}
	}
}

// addrPair identifies a connection by the addresses that its server sees.
type addrPair struct{ local, remote netip.AddrPort }

// pair identifies the connection of a client that has connected from an address. An IPv6 listener
// sees IPv4 addresses mapped.
func (l listener) pair(from netip.AddrPort) addrPair {
	if l.bound.Addr().Is4() {
		return addrPair{l.via, from}
	}
	return addrPair{mapped(l.via), mapped(from)}
}

func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}
