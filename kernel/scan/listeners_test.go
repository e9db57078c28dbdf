package scan

import (
	"net/netip"
	"slices"
	"testing"

	"closewait_exporter/closewait"
)

func TestListenersAreFoundAsTheKernelPrefersThem(t *testing.T) {
	const here, there closewait.NetNS = 1, 2
	type on struct {
		ns    closewait.NetNS
		local string
		inode uint64
		iface uint32
	}
	for name, c := range map[string]struct {
		listeners []on
		local     string
		iface     uint32
		want      []uint64
	}{
		"exact address":                         {[]on{{here, "10.0.0.1:80", 7, 0}}, "10.0.0.1:80", 0, []uint64{7}},
		"exact address, before the wildcard":    {[]on{{here, "0.0.0.0:80", 8, 0}, {here, "10.0.0.1:80", 7, 0}}, "10.0.0.1:80", 0, []uint64{7}},
		"another address":                       {[]on{{here, "10.0.0.2:80", 7, 0}}, "10.0.0.1:80", 0, nil},
		"another port":                          {[]on{{here, "10.0.0.1:81", 7, 0}}, "10.0.0.1:80", 0, nil},
		"IPv4 wildcard":                         {[]on{{here, "0.0.0.0:80", 7, 0}}, "10.0.0.1:80", 0, []uint64{7}},
		"IPv6 wildcard":                         {[]on{{here, "[::]:80", 7, 0}}, "[2001:db8::1]:80", 0, []uint64{7}},
		"IPv6 and not the IPv4 wildcard":        {[]on{{here, "0.0.0.0:80", 8, 0}}, "[2001:db8::1]:80", 0, nil},
		"v4-mapped on the dual-stack wildcard":  {[]on{{here, "[::]:80", 7, 0}}, "[::ffff:10.0.0.1]:80", 0, []uint64{7}},
		"v4-mapped exact address":               {[]on{{here, "[::]:80", 8, 0}, {here, "[::ffff:10.0.0.1]:80", 7, 0}}, "[::ffff:10.0.0.1]:80", 0, []uint64{7}},
		"v4-mapped and not the IPv4 wildcard":   {[]on{{here, "0.0.0.0:80", 8, 0}, {here, "[::]:80", 7, 0}}, "[::ffff:10.0.0.1]:80", 0, []uint64{7}},
		"IPv4 and not the dual-stack wildcard":  {[]on{{here, "[::]:80", 8, 0}}, "10.0.0.1:80", 0, nil},
		"several with SO_REUSEPORT":             {[]on{{here, "0.0.0.0:80", 7, 0}, {here, "0.0.0.0:80", 9, 0}}, "10.0.0.1:80", 0, []uint64{7, 9}},
		"one that a dump has repeated":          {[]on{{here, "0.0.0.0:80", 7, 0}, {here, "0.0.0.0:80", 7, 0}}, "10.0.0.1:80", 0, []uint64{7}},
		"the same address in another namespace": {[]on{{there, "10.0.0.1:80", 8, 0}}, "10.0.0.1:80", 0, nil},
		"on its interface":                      {[]on{{here, "0.0.0.0:80", 7, 2}, {here, "0.0.0.0:80", 8, 3}, {here, "0.0.0.0:80", 9, 0}}, "10.0.0.1:80", 3, []uint64{8}},
		"on no interface":                       {[]on{{here, "0.0.0.0:80", 7, 2}, {here, "0.0.0.0:80", 9, 0}}, "10.0.0.1:80", 0, []uint64{9}},
		"a wildcard on its interface":           {[]on{{here, "10.0.0.1:80", 7, 2}, {here, "0.0.0.0:80", 8, 3}}, "10.0.0.1:80", 3, []uint64{8}},
		"in a VRF, on no interface":             {[]on{{here, "0.0.0.0:80", 7, 2}, {here, "0.0.0.0:80", 9, 0}}, "10.0.0.1:80", 5, []uint64{9}},
		"on interfaces that are not known":      {[]on{{here, "10.0.0.1:80", 7, 2}, {here, "10.0.0.1:80", 8, 3}}, "10.0.0.1:80", 0, []uint64{7, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			var all listeners
			all.reset()
			all.add(here, netip.MustParseAddrPort("192.0.2.1:9"), listener{inode: 1})
			all.reset() // what an earlier scan has seen is forgotten
			for _, l := range c.listeners {
				all.add(l.ns, netip.MustParseAddrPort(l.local), listener{inode: l.inode, iface: l.iface})
			}
			var got []uint64
			for _, l := range all.of(here, netip.MustParseAddrPort(c.local), c.iface) {
				got = append(got, l.inode)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("listeners of %s: %v, want %v", c.local, got, c.want)
			}
			held := closewait.Facts{ID: closewait.CookieID(here, 1), Local: netip.MustParseAddrPort("192.0.2.1:9"), Inode: 1}
			if all.direction(&held) != closewait.UnknownDirection {
				t.Error("inbound through a listener of an earlier scan")
			}
		})
	}
}

func TestAListenerProvesInboundUnlessTheSocketShowsOutbound(t *testing.T) {
	var all listeners
	all.reset()
	all.add(1, netip.MustParseAddrPort("10.0.0.1:80"), listener{inode: 7})
	for name, c := range map[string]struct {
		ns     closewait.NetNS
		local  string
		inode  uint64
		shows  closewait.Direction // by the socket itself
		proves closewait.Direction
	}{
		"the port of a listener":                           {1, "10.0.0.1:80", 9, closewait.UnknownDirection, closewait.Inbound},
		"the port of a listener on another address":        {1, "[2001:db8::1]:80", 9, closewait.UnknownDirection, closewait.Inbound},
		"a port without a listener":                        {1, "10.0.0.1:40000", 9, closewait.UnknownDirection, closewait.UnknownDirection},
		"the port of a listener in another namespace only": {2, "10.0.0.1:80", 9, closewait.UnknownDirection, closewait.UnknownDirection},
		"a client with the local port of a listener":       {1, "10.0.0.1:80", 9, closewait.Outbound, closewait.Outbound},
		"a server without a listener":                      {1, "10.0.0.1:40000", 9, closewait.Inbound, closewait.Inbound},
		"an unaccepted connection without a listener":      {1, "10.0.0.1:40000", 0, closewait.UnknownDirection, closewait.Inbound},
	} {
		f := closewait.Facts{ID: closewait.CookieID(c.ns, 1), Local: netip.MustParseAddrPort(c.local), Inode: c.inode, Direction: c.shows}
		if got := all.direction(&f); got != c.proves {
			t.Errorf("%s: %v, want %v", name, got, c.proves)
		}
	}
}
