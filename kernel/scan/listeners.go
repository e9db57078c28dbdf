package scan

import (
	"net/netip"
	"slices"

	"closewait_exporter/closewait"
)

// listeners are the listening sockets of all namespaces that a scan has read.
type listeners struct {
	at    map[endpoint][]uint64 // inodes; several with SO_REUSEPORT
	ports map[port]struct{}

	asked  port // the port of the last call of direction, because many connections have the same
	answer closewait.Direction
}

// endpoint is a local address and port in a namespace.
type endpoint struct {
	ns    closewait.NetNS
	local netip.AddrPort
}

type port struct {
	ns     closewait.NetNS
	number uint16
}

func (l *listeners) reset() {
	if l.at == nil {
		l.at, l.ports = map[endpoint][]uint64{}, map[port]struct{}{}
	}
	clear(l.at)
	clear(l.ports)
	l.asked = port{}
}

func (l *listeners) add(ns closewait.NetNS, local netip.AddrPort, inode uint64) {
	e := endpoint{ns, local}
	if !slices.Contains(l.at[e], inode) { // a dump can repeat a socket
		l.at[e] = append(l.at[e], inode)
	}
	l.ports[port{ns, local.Port()}] = struct{}{}
	l.asked = port{}
}

// direction returns the side that opened a connection. What the socket itself shows comes first,
// because a client can have a local port on which a server listens. Otherwise a socket that waits
// to be accepted, or on whose local port something listens, is inbound. That nothing listens proves
// nothing: a server can close its listener, or accept connections to any port (IP_TRANSPARENT).
func (l *listeners) direction(f *closewait.Facts) closewait.Direction {
	switch {
	case f.Direction != closewait.UnknownDirection:
		return f.Direction
	case !f.Accepted():
		return closewait.Inbound
	}
	if asks := (port{f.ID.NetNS, f.Local.Port()}); asks != l.asked {
		l.asked, l.answer = asks, closewait.UnknownDirection
		if _, listening := l.ports[asks]; listening {
			l.answer = closewait.Inbound
		}
	}
	return l.answer
}

var (
	anyIPv4 = netip.IPv4Unspecified()
	anyIPv6 = netip.IPv6Unspecified()
)

// of returns the inodes of the listeners in whose accept queues a connection can be: those on
// exactly its address, else those on the wildcard of its family (the kernel prefers them in this
// order: compute_score in net/ipv4/inet_hashtables.c). A connection has the family of its
// listener: one of IPv4 to a dual-stack listener has v4-mapped addresses.
func (l *listeners) of(ns closewait.NetNS, local netip.AddrPort) []uint64 {
	addr := local.Addr().WithZone("")
	wildcard := anyIPv6
	if addr.Is4() {
		wildcard = anyIPv4
	}
	for _, candidate := range [...]netip.Addr{addr, wildcard} {
		if found := l.at[endpoint{ns, netip.AddrPortFrom(candidate, local.Port())}]; found != nil {
			return found
		}
	}
	return nil
}
