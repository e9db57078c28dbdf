package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// perAddress is how many connections come from one client address. With more, the kernel gives a
// client port again that a forgotten socket still stands for, and its SYN resets that socket.
const perAddress = 1500

// clients are the peers of the server. They live in the same process, close first and are gone: the
// kernel alone keeps their end, in FIN_WAIT2 for tcp_fin_timeout (60 s) and then not at all.
type clients struct {
	addresses int // spread over so many client addresses in turn; 0: a new one every perAddress
	calls     int
}

// call connects the next client.
func (c *clients) call(to netip.AddrPort) (fd int, local netip.AddrPort, err error) {
	n := c.calls / perAddress
	if c.addresses > 0 {
		n = c.calls % c.addresses
	}
	c.calls++
	return connect(clientAddr(n, to.Addr()), to)
}

// clientAddr is the n-th client address for a destination: 127.0.0.1, then one in each /24 from
// 127.16.1.0 on. IPv6 has one loopback address only, and other destinations know no loopback.
func clientAddr(n int, to netip.Addr) netip.Addr {
	if n == 0 || !to.Is4() || !to.IsLoopback() {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{127, byte(16 + n>>8), byte(n), 1})
}

// leave sends the FIN of each client, waits until the kernel has taken it in at the other end, and
// closes.
func leave(fds []int) error {
	for _, fd := range fds {
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			return fmt.Errorf("shut down a client: %w", err)
		}
	}
	for _, fd := range fds {
		if err := awaitState(fd, stateFinWait2); err != nil {
			return err
		}
		unix.Close(fd)
	}
	return nil
}

// reset closes a socket with a RST.
func reset(fd int) error {
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("reset a connection: %w", err)
	}
	return unix.Close(fd)
}
