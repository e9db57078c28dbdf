package kernel

import (
	"encoding/binary"
	"net/netip"

	"closewait_exporter/closewait"
)

// ends are pairs of addresses, in a fifth of the space that two netip.AddrPort take for IPv4 and without
// pointers, for there may be 100,000.
type ends []byte

// add appends a pair, and returns where it begins.
func (e *ends) add(local, remote netip.AddrPort) (at uint32) {
	at = uint32(len(*e))
	for _, end := range [...]netip.AddrPort{local, remote} {
		if addr := end.Addr(); addr.Is4() {
			four := addr.As4()
			*e = append(*e, four[:]...)
		} else {
			sixteen := addr.As16()
			*e = append(*e, sixteen[:]...)
		}
		*e = binary.NativeEndian.AppendUint16(*e, end.Port())
	}
	return at
}

// at is the pair that begins there.
func (e ends) at(at uint32, ipv4 bool) (local, remote netip.AddrPort) {
	size := 16
	if ipv4 {
		size = 4
	}
	rest := e[at:]
	next := func() netip.AddrPort {
		addr, _ := netip.AddrFromSlice(rest[:size])
		port := binary.NativeEndian.Uint16(rest[size:])
		rest = rest[size+2:]
		return netip.AddrPortFrom(addr, port)
	}
	local = next()
	return local, next()
}

// socketID is what identifies a socket with these facts: its cookie, where one is known.
func socketID(ns closewait.NetNS, cookie uint64, f *closewait.Facts) closewait.SocketID {
	if cookie != 0 {
		return closewait.CookieID(ns, cookie)
	}
	return closewait.TupleID(ns, f.Local, f.Remote, f.Inode)
}
