package rules

import (
	"net/netip"
	"slices"

	"closewait_exporter/closewait"
)

// Ignore selects sockets that never count as evidence.
type Ignore struct {
	Remote    []Endpoint
	LocalPort []uint16
}

// Matches reports whether a socket never counts as evidence.
func (i *Ignore) Matches(s *closewait.Facts) bool {
	return slices.Contains(i.LocalPort, s.Local.Port()) ||
		slices.ContainsFunc(i.Remote, func(e Endpoint) bool { return e.contains(s.Remote) })
}

// Endpoint is a set of remote addresses with one port or all ports.
type Endpoint struct {
	Prefix netip.Prefix // v4-mapped addresses are compared as IPv4
	Port   uint16       // 0: any
}

// contains reports whether a remote end is in the set. A v4-mapped address counts as IPv4.
func (e Endpoint) contains(remote netip.AddrPort) bool {
	return e.Prefix.Contains(remote.Addr().Unmap().WithZone("")) && (e.Port == 0 || e.Port == remote.Port())
}
