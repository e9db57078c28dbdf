package scan

import (
	"net/netip"
	"slices"
	"testing"

	"closewait_exporter/closewait"
)

func TestListenersAreFoundAsTheKernelPrefersThem(t *testing.T) {
	const here, there closewait.NetNS = 1, 2
	type listener struct {
		ns    closewait.NetNS
		local string
		inode uint64
	}
	for name, c := range map[string]struct {
		listeners []listener
		local     string
		want      []uint64
	}{
		"exact address":                         {[]listener{{here, "10.0.0.1:80", 7}}, "10.0.0.1:80", []uint64{7}},
		"exact address, before the wildcard":    {[]listener{{here, "0.0.0.0:80", 8}, {here, "10.0.0.1:80", 7}}, "10.0.0.1:80", []uint64{7}},
		"another address":                       {[]listener{{here, "10.0.0.2:80", 7}}, "10.0.0.1:80", nil},
		"another port":                          {[]listener{{here, "10.0.0.1:81", 7}}, "10.0.0.1:80", nil},
		"IPv4 wildcard":                         {[]listener{{here, "0.0.0.0:80", 7}}, "10.0.0.1:80", []uint64{7}},
		"IPv6 wildcard":                         {[]listener{{here, "[::]:80", 7}}, "[2001:db8::1]:80", []uint64{7}},
		"IPv6 and not the IPv4 wildcard":        {[]listener{{here, "0.0.0.0:80", 8}}, "[2001:db8::1]:80", nil},
		"v4-mapped on the dual-stack wildcard":  {[]listener{{here, "[::]:80", 7}}, "[::ffff:10.0.0.1]:80", []uint64{7}},
		"v4-mapped exact address":               {[]listener{{here, "[::]:80", 8}, {here, "[::ffff:10.0.0.1]:80", 7}}, "[::ffff:10.0.0.1]:80", []uint64{7}},
		"v4-mapped and not the IPv4 wildcard":   {[]listener{{here, "0.0.0.0:80", 8}, {here, "[::]:80", 7}}, "[::ffff:10.0.0.1]:80", []uint64{7}},
		"IPv4 and not the dual-stack wildcard":  {[]listener{{here, "[::]:80", 8}}, "10.0.0.1:80", nil},
		"several with SO_REUSEPORT":             {[]listener{{here, "0.0.0.0:80", 7}, {here, "0.0.0.0:80", 9}}, "10.0.0.1:80", []uint64{7, 9}},
		"one that a dump has repeated":          {[]listener{{here, "0.0.0.0:80", 7}, {here, "0.0.0.0:80", 7}}, "10.0.0.1:80", []uint64{7}},
		"the same address in another namespace": {[]listener{{there, "10.0.0.1:80", 8}}, "10.0.0.1:80", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var all listeners
			all.reset()
			all.add(here, netip.MustParseAddrPort("192.0.2.1:9"), 1)
			all.reset() // what an earlier scan has seen is forgotten
			for _, l := range c.listeners {
				all.add(l.ns, netip.MustParseAddrPort(l.local), l.inode)
			}
			if got := all.of(here, netip.MustParseAddrPort(c.local)); !slices.Equal(got, c.want) {
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
	all.add(1, netip.MustParseAddrPort("10.0.0.1:80"), 7)
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
