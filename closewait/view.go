package closewait

import "time"

// View is the state of the host at one moment, as far as it was seen. It is never changed after
// it is returned, and may be read by any number of goroutines.
type View struct {
	Taken                time.Time
	Took                 time.Duration // from the start of the scan to this View
	Sockets              HostSockets   // in CLOSE_WAIT alone
	Durations            Histogram     // seconds in CLOSE_WAIT of all sockets seen to leave it so far
	Namespaces           int           // whose sockets were read
	UnreadableNamespaces int           // namespaces that could not be read in this scan
	Denied               int           // processes that could not be looked into
	Transient            int           // sockets in CLOSE_WAIT that are unresolved and came after the scan before: many are closed already
	Holders              []*Holder     // worst first: most sockets of all kinds, then oldest, then lowest pid
	Ownerless            []*Socket     // in CLOSE_WAIT without a known holder; accepted ones first, each oldest first
	AllDefunct           bool          // every defunct socket was seen; else only some are known
}

// HostSockets counts each socket of the host once.
type HostSockets [families][owners]int

// Of is the number of sockets of a family and owner.
func (h *HostSockets) Of(f Family, o Owner) int { return h[f][o] }

// Total is the number of sockets in CLOSE_WAIT on the host.
func (h *HostSockets) Total() (n int) {
	for _, byOwner := range h {
		for _, count := range byOwner {
			n += count
		}
	}
	return n
}

// Coverage is the share of accepted sockets about whose owner something is known, 0 to 1; 1 where
// there are none. It leaves out those that are unsettled: one that is closed between the look at the sockets and that
// at the descriptors has no holder to be found, and busy servers have such sockets all the time.
func (v *View) Coverage() float64 {
	unresolved, accepted := 0, 0
	for _, byOwner := range v.Sockets {
		unresolved += byOwner[OwnerUnresolved]
		accepted += byOwner[OwnedByProcess] + byOwner[OwnedByKernel] + byOwner[OwnerUnresolved]
	}
	unresolved, accepted = unresolved-v.Transient, accepted-v.Transient
	if accepted == 0 {
		return 1
	}
	return 1 - float64(unresolved)/float64(accepted)
}
