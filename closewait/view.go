package closewait

import "time"

// View is the state of the host at one moment, as far as it could be read. It is immutable, and any
// number of goroutines may read it.
type View struct {
	Taken                time.Time
	Uptime               time.Duration // of the host when the View was taken, suspended time included; 0: not known
	Took                 time.Duration // from the start of the scan to this View
	Sockets              HostSockets   // ended and unaccepted
	Durations            Histogram     // seconds from end to close of all ended sockets that are gone
	Namespaces           int           // network namespaces whose sockets were read
	UnreadableNamespaces int           // network namespaces that could not be read in this scan
	Denied               int           // processes whose descriptors could not be read
	Transient            int           // unresolved sockets that the previous scan had not seen; many are closed
	Holders              []*Holder     // worst first: nearest to the limit of descriptors, then most sockets, then oldest, then lowest pid
	Ownerless            []*Socket     // in CLOSE_WAIT without a known holder; accepted ones first, each oldest first
	closed               int           // of Sockets, those in state Closed; each is held
	Complete             StateSet      // the states in which every held socket was seen; of others only some are known
}

// HostSockets counts each socket of the host once.
type HostSockets [families][owners]int

// Of is the number of sockets with a family and owner.
func (h *HostSockets) Of(f Family, o Owner) int { return h[f][o] }

// Total is the number of ended and unaccepted sockets on the host.
func (h *HostSockets) Total() (n int) {
	for _, byOwner := range h {
		for _, count := range byOwner {
			n += count
		}
	}
	return n
}

// Coverage is the share of accepted sockets in CLOSE_WAIT with a known owner, 0 to 1; 1 if there
// are none. It leaves out the transient ones: a socket that is closed after the sockets and before
// the descriptors were read has no holder to be found, and busy servers always have such sockets.
func (v *View) Coverage() float64 {
	unresolved, accepted := 0, -v.closed
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
