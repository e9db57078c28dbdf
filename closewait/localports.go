package closewait

import (
	"cmp"
	"net/netip"
)

// PortUse says how many local ports are in use for connections from a local address to one remote
// end. When all of them are, connect(2) fails with EADDRNOTAVAIL, whatever the limit of descriptors
// is.
type PortUse struct {
	Local  netip.Addr     // without v4-mapping
	Remote netip.AddrPort // the remote end to which the process holds most sockets; invalid: none
	// Used counts the outbound sockets of all processes, and without a known holder, in CLOSE_WAIT
	// and FIN_WAIT2, as far as scans see them. Live connections and TIME_WAIT use ports too, so that
	// it is a lower bound. A closed socket has given its port back.
	Used   int
	Usable int // ip_local_port_range without the reserved ports; 0 if it is not known
}

// Ratio is the share of the usable local ports that are in use, 0 to 1. It is false if that is not
// known, or the process holds no such socket.
func (u PortUse) Ratio() (ratio float64, known bool) {
	if !u.Remote.IsValid() || u.Usable == 0 {
		return 0, false
	}
	return min(float64(u.Used)/float64(u.Usable), 1), true
}

// route is what connections must have in common to need different local ports. The zero value
// stands for no connection.
type route struct {
	netNS  NetNS
	local  netip.Addr
	remote netip.AddrPort
}

// routeOf returns the route of a socket that this host has connected and whose local port is in
// use, else the zero value. IPv6 sockets with v4-mapped addresses share the ports of IPv4.
func routeOf(s *Socket) route {
	if s.Direction != Outbound || !s.State.Listed() {
		return route{}
	}
	return route{s.ID.NetNS, s.Local.Addr().Unmap(), netip.AddrPortFrom(s.Remote.Addr().Unmap(), s.Remote.Port())}
}

// routes counts sockets by route.
type routes map[route]int

// add adds n sockets, which can be -1.
func (r routes) add(s *Socket, n int) {
	to := routeOf(s)
	if to == (route{}) {
		return
	}
	if r[to] += n; r[to] == 0 {
		delete(r, to)
	}
}

// busiest returns the route with the most sockets, the zero value if there is none.
func (r routes) busiest() (most route) {
	for to, n := range r {
		if n > r[most] || n == r[most] && to.compare(most) < 0 {
			most = to
		}
	}
	return most
}

// compare gives routes with as many sockets a stable order.
func (a route) compare(b route) int {
	return cmp.Or(a.remote.Compare(b.remote), a.local.Compare(b.local), cmp.Compare(a.netNS, b.netNS))
}

// use describes the ports in use on a route. usable has the usable ports of namespaces.
func (r routes) use(of route, usable map[NetNS]int) PortUse {
	if of == (route{}) {
		return PortUse{}
	}
	return PortUse{Local: of.local, Remote: of.remote, Used: r[of], Usable: usable[of.netNS]}
}
