package scan

import (
	"encoding/binary"
	"net/netip"
)

// addrPairs holds the local and remote addresses of sockets one after the other. It takes a fifth
// of the memory of two netip.AddrPort for IPv4 and has no pointers, because there can be 100,000.
type addrPairs []byte

// add appends a pair and returns its offset.
func (p *addrPairs) add(local, remote netip.AddrPort) (offset uint32) {
	offset = uint32(len(*p))
	for _, end := range [...]netip.AddrPort{local, remote} {
		if addr := end.Addr(); addr.Is4() {
			four := addr.As4()
			*p = append(*p, four[:]...)
		} else {
			sixteen := addr.As16()
			*p = append(*p, sixteen[:]...)
		}
		*p = binary.NativeEndian.AppendUint16(*p, end.Port())
	}
	return offset
}

// at returns the pair at an offset.
func (p addrPairs) at(offset uint32, ipv4 bool) (local, remote netip.AddrPort) {
	size := 16
	if ipv4 {
		size = 4
	}
	rest := p[offset:]
	next := func() netip.AddrPort {
		addr, _ := netip.AddrFromSlice(rest[:size])
		port := binary.NativeEndian.Uint16(rest[size:])
		rest = rest[size+2:]
		return netip.AddrPortFrom(addr, port)
	}
	local = next()
	return local, next()
}
