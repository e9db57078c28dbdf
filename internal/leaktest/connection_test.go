package leaktest

import (
	"net"
	"net/netip"
	"testing"
)

func TestConnectionsEndAsAskedFor(t *testing.T) {
	multipath := func(config *net.ListenConfig) { config.SetMultipathTCP(true) }
	places := []struct {
		name, network, listen, host string
		options                     []func(*net.ListenConfig)
	}{
		{name: "IPv4", network: "tcp4", listen: "127.0.0.1:0", host: "127.0.0.1"},
		{name: "IPv6", network: "tcp6", listen: "[::1]:0", host: "::1"},
		{name: "v4-mapped", network: "tcp", listen: "[::]:0", host: "127.0.0.1"},
		{name: "a client without MPTCP", network: "tcp4", listen: "127.0.0.1:0", host: "127.0.0.1",
			options: []func(*net.ListenConfig){multipath}},
	}
	ends := []struct {
		name  string
		end   func(*Connection)
		state string // for ss; empty: in no table
	}{
		{"close", (*Connection).CloseClient, "close-wait"},
		{"half-close", (*Connection).HalfCloseClient, "close-wait"},
		{"reset", (*Connection).ResetClient, ""},
		{"half-close, then reset", func(c *Connection) { c.HalfCloseClient(); c.ResetClient() }, ""},
	}
	for _, place := range places {
		for _, tt := range ends {
			t.Run(place.name+", "+tt.name, func(t *testing.T) {
				l := Listen(t, place.network, place.listen, place.options...)
				_, port, err := net.SplitHostPort(l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				c := ConnectTo(t, l, net.JoinHostPort(place.host, port), &net.Dialer{})
				tt.end(c)
				for _, state := range []string{"close-wait", "established"} {
					listed := false
					for _, row := range SSOf(t, nil, state) {
						listed = listed || row.Local.Port() == c.Local().Port() && sameAddr(row.Remote, c.Remote())
					}
					if listed != (state == tt.state) {
						t.Errorf("ss lists the server as %s: %v", state, listed)
					}
				}
			})
		}
	}
}

// sameAddr compares addresses of which one may be v4-mapped: Go unmaps them and ss does not.
func sameAddr(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && a.Addr().Unmap() == b.Addr().Unmap()
}
