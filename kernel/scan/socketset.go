package scan

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// socketSet is what one scan has read: sockets, listeners, and the namespaces whose tables it has
// read.
type socketSet struct {
	sockets   []closewait.SocketSample
	listeners *listeners
	reached   []host.Namespace
	known     func(inode uint64) bool // accepted sockets that are in the set already; nil: none

	// settled reports whether a socket in FIN_WAIT2 is to be added; nil: each is.
	settled func(*closewait.SocketSample) bool
}

// add adds a socket unless the set has it already, or it is in FIN_WAIT2 and not settled.
func (s *socketSet) add(row closewait.SocketSample) {
	if s.known != nil && row.Accepted() && s.known(row.Inode) {
		return
	}
	if row.State == closewait.FinWait2 && s.settled != nil && !s.settled(&row) {
		return
	}
	*s.newRow() = row
}

// newRow adds an empty row. It doubles the capacity when it must grow: the builtin append grows
// by a quarter, and so copies large tables several times.
func (s *socketSet) newRow() *closewait.SocketSample {
	n := len(s.sockets)
	if n == cap(s.sockets) {
		s.sockets = slices.Grow(s.sockets, max(64, n))
	}
	s.sockets = s.sockets[:n+1]
	s.sockets[n] = closewait.SocketSample{}
	return &s.sockets[n]
}

// netNSIDs returns the ids of the namespaces whose tables were read.
func (s *socketSet) netNSIDs() []closewait.NetNS {
	ids := make([]closewait.NetNS, len(s.reached))
	for i, ns := range s.reached {
		ids[i] = ns.ID
	}
	return ids
}

// usablePorts returns the number of usable local ports of the namespaces in which a socket may use
// one for a connection that this host has opened.
func (s *socketSet) usablePorts(ranges *procfs.PortRanges, namespaces []host.Namespace) map[closewait.NetNS]int {
	in := map[closewait.NetNS]bool{}
	var last closewait.NetNS
	for i := range s.sockets {
		row := &s.sockets[i]
		if row.ID.NetNS != last && row.Direction != closewait.Inbound && row.State.Listed() {
			last = row.ID.NetNS
			in[last] = true
		}
	}
	wanted := slices.DeleteFunc(slices.Clone(namespaces), func(ns host.Namespace) bool { return !in[ns.ID] })
	return ranges.Usable(wanted)
}

// buffers is the memory of a scan that the next scan uses again.
type buffers struct {
	sockets   []closewait.SocketSample
	listeners listeners
	reached   []host.Namespace
	processes []closewait.Process
	pids      []int
}

// socketSet returns an empty set in the memory of the last one.
func (b *buffers) socketSet() *socketSet {
	sockets := b.sockets
	b.sockets = nil                         // so that the old memory can be collected if the set needs more
	if cap(sockets) > 4*len(sockets)+1000 { // most sockets have gone
		sockets = nil
	}
	b.listeners.reset()
	return &socketSet{sockets: sockets[:0], listeners: &b.listeners, reached: b.reached[:0]}
}

// keep keeps the memory of a set for the next one.
func (b *buffers) keep(s *socketSet) { b.sockets, b.reached = s.sockets, s.reached }
