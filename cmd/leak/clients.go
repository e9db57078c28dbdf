package main

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
)

// perAddress is the number of connections from one client address. With more, the kernel reuses a
// client port whose server end is still leaked, and the new SYN resets that socket.
const perAddress = 1500

// clients are the peers of the server. They live in the same process and close first; the kernel
// keeps their ends in FIN_WAIT2 for tcp_fin_timeout (60 s).
type clients struct {
	addresses   int // number of client addresses, used in turn; 0: a new one every perAddress connections
	connections int // opened so far
	protocol    int
}

// connect opens the next connection.
func (c *clients) connect(to netip.AddrPort) (fd int, local netip.AddrPort, err error) {
	n := c.connections / perAddress
	if c.addresses > 0 {
		n = c.connections % c.addresses
	}
	c.connections++
	return tcp.Connect(clientAddr(n, to.Addr()), to, c.protocol)
}

// clientAddr is the n-th client address for a destination: 127.0.0.1, then one in each /24 from
// 127.16.1.0 on. IPv6 has only one loopback address, and other destinations accept no loopback
// address.
func clientAddr(n int, to netip.Addr) netip.Addr {
	if n == 0 || !to.Is4() || !to.IsLoopback() {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{127, byte(16 + n>>8), byte(n), 1})
}

// connectAccepted opens a connection to one of the listeners and accepts it, before either end
// closes.
func connectAccepted(to *listeners, from *clients) (client, server int, err error) {
	l := to.next()
	client, local, err := from.connect(l.via)
	if err != nil {
		return -1, -1, err
	}
	server, _, err = to.accept(func(p addrPair) bool { return p == l.pair(local) })
	if err != nil {
		unix.Close(client)
		return -1, -1, err
	}
	return client, server, nil
}
