package scan

import (
	"net/netip"
	"testing"
)

func TestAddressesComeBackAsTheyWere(t *testing.T) {
	var stored addrPairs
	pairs := [][2]string{
		{"127.0.0.1:80", "192.0.2.1:65535"}, {"[::1]:0", "[2001:db8::1]:443"}, {"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.2]:2"}, {"0.0.0.0:1", "255.255.255.255:256"},
	}
	var offsets []uint32
	for _, p := range pairs {
		offsets = append(offsets, stored.add(netip.MustParseAddrPort(p[0]), netip.MustParseAddrPort(p[1])))
	}
	for i, p := range pairs {
		want, wantRemote := netip.MustParseAddrPort(p[0]), netip.MustParseAddrPort(p[1])
		if local, remote := stored.at(offsets[i], want.Addr().Is4()); local != want || remote != wantRemote {
			t.Errorf("%v to %v, want %v to %v", local, remote, want, wantRemote)
		}
	}
}
