package main

import "net/netip"

// door is an address that we listen on, and where clients connect to in order to reach it.
type door struct{ bound, via netip.AddrPort }

// doors are the listeners of a server.
type doors struct {
	doors     []door
	listeners []int // more than doors with SO_REUSEPORT
	turn      int
}

// openDoors opens copies of a listener on each address; more than one needs SO_REUSEPORT, which 0
// leaves out. Where an address is a wildcard, clients come through the given one.
func openDoors(at []netip.AddrPort, through netip.Addr, copies int) (doors, error) {
	var d doors
	for _, bound := range at {
		for range max(copies, 1) {
			var fd int
			var err error
			if fd, bound, err = listen(bound, copies > 0); err != nil {
				return d, err
			}
			d.listeners = append(d.listeners, fd)
		}
		via := netip.AddrPortFrom(reachable(bound.Addr(), through), bound.Port())
		d.doors = append(d.doors, door{bound, via})
	}
	return d, nil
}

// reachable is where clients reach a listener.
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

// next is the door of the next client: they take turns.
func (d *doors) next() door {
	d.turn++
	return d.doors[(d.turn-1)%len(d.doors)]
}

// addrs are the addresses that we listen on.
func (d *doors) addrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, door := range d.doors {
		addrs = append(addrs, door.bound)
	}
	return addrs
}

// accept takes the next connection that is wanted. Any other is a guest: somebody has found the port.
// It stays open, for closing is what this program does not do.
func (d *doors) accept(wanted func(ends) bool) (fd int, e ends, err error) {
	for {
		fd, remote, err := acceptAny(d.listeners)
		if err != nil {
			return -1, e, err
		}
		local, err := localOf(fd)
		if err != nil {
			return -1, e, err
		}
		if e = (ends{local, remote}); wanted(e) {
			return fd, e, nil
		}
	}
}

// ends names a connection as its server sees it.
type ends struct{ local, remote netip.AddrPort }

// ends names the connection of a client that came through the door from an address: an IPv6
// listener sees IPv4 addresses mapped.
func (d door) ends(from netip.AddrPort) ends {
	if d.bound.Addr().Is4() {
		return ends{d.via, from}
	}
	return ends{mapped(d.via), mapped(from)}
}

func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}
