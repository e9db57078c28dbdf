package action

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// addressOf returns the address of a socket as it is in the tables: v4-mapped addresses stay
// mapped, and there is no zone.
func addressOf(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
