package scan

import (
	"iter"
	"net/netip"
	"slices"

	"closewait_exporter/closewait"
)

// listeners are the listening sockets of all namespaces that a scan has read.
type listeners struct {
	at    map[endpoint][]listener // several with SO_REUSEPORT, or on different interfaces
	ports map[port]struct{}

	asked  port // the port of the last call of direction, because many connections have the same
	answer closewait.Direction
}

// listener is a listening socket.
type listener struct {
	inode uint64
	iface uint32 // index of the interface that it is bound to; 0 = none, or not known
	queue closewait.AcceptQueue
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
		l.at, l.ports = map[endpoint][]listener{}, map[port]struct{}{}
	}
	clear(l.at)
	clear(l.ports)
	l.asked = port{}
}

func (l *listeners) add(ns closewait.NetNS, local netip.AddrPort, found listener) {
	e := endpoint{ns, local}
	// A dump can repeat a socket, and a dump follows after BPF has listed it. The last one is right.
	i := slices.IndexFunc(l.at[e], func(known listener) bool { return known.inode == found.inode })
	if i < 0 {
		l.at[e] = append(l.at[e], found)
	} else {
		l.at[e][i] = found
	}
	l.ports[port{ns, local.Port()}] = struct{}{}
	l.asked = port{}
}

// all returns all listeners.
func (l *listeners) all() iter.Seq[listener] {
	return func(yield func(listener) bool) {
		for _, list := range l.at {
			for _, one := range list {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// on reports whether something listens on a port.
func (l *listeners) on(p port) bool {
	_, listening := l.ports[p]
	return listening
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
		if l.on(asks) {
			l.answer = closewait.Inbound
		}
	}
	return l.answer
}

var (
	anyIPv4 = netip.IPv4Unspecified()
	anyIPv6 = netip.IPv6Unspecified()
)

// of returns the listeners in whose accept queues a connection can be: those on exactly its
// address, else those on the wildcard of its family (the kernel prefers them in this order:
// compute_score in net/ipv4/inet_hashtables.c). A connection has the family of its listener: one of
// IPv4 to a dual-stack listener has v4-mapped addresses. It also has the interface of its listener,
// except that it gets the interface of a VRF if the listener has none (tcp_l3mdev_accept). Where
// interfaces are not known, all listeners on the address count.
func (l *listeners) of(ns closewait.NetNS, local netip.AddrPort, iface uint32) []listener {
	addr := local.Addr().WithZone("")
	wildcard := anyIPv6
	if addr.Is4() {
		wildcard = anyIPv4
	}
	exact, onAny := l.at[endpoint{ns, netip.AddrPortFrom(addr, local.Port())}], l.at[endpoint{ns, netip.AddrPortFrom(wildcard, local.Port())}]
	for _, on := range [...]uint32{iface, 0} {
		for _, candidates := range [...][]listener{exact, onAny} {
			if found := boundTo(on, candidates); len(found) > 0 {
				return found
			}
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return onAny
}

// boundTo returns the listeners on an interface, or on none if it is 0.
func boundTo(iface uint32, list []listener) []listener {
	other := func(l listener) bool { return l.iface != iface }
	if !slices.ContainsFunc(list, other) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), other)
}
