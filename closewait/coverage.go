package closewait

// Opener is who has opened sockets: a user, in a network namespace.
type Opener struct {
	NetNS NetNS
	UID   uint32
}

// CoverageByOpener is the coverage of a View by who has opened the sockets.
type CoverageByOpener map[Opener]struct{ accepted, unresolved int }

// CoverageByOpener counts the accepted sockets in CLOSE_WAIT of a View by who has opened them,
// without the transient ones. It reads every socket, but only if the owner of some socket is
// unknown; otherwise it returns nil.
func (v *View) CoverageByOpener() CoverageByOpener {
	var coverage CoverageByOpener
	add := func(s *Socket, unresolved int) {
		by := Opener{s.ID.NetNS, s.UID}
		n := coverage[by]
		n.accepted++
		n.unresolved += unresolved
		coverage[by] = n
	}
	for _, s := range v.Ownerless {
		transient := v.Transient > 0 && s.FirstSeen.Equal(v.Taken)
		if s.Owner == OwnerUnresolved && !transient {
			if coverage == nil {
				coverage = CoverageByOpener{}
			}
			add(s, 1)
		}
	}
	if coverage == nil {
		return nil
	}
	for _, s := range v.Ownerless {
		if s.Owner == OwnedByKernel {
			add(s, 0)
		}
	}
	for _, h := range v.Holders {
		for _, s := range h.Ended.Sockets {
			if s.State == CloseWait && s.Holders[0] == h.ID { // each socket once
				add(s, 0)
			}
		}
	}
	return coverage
}

// Of is the share, 0 to 1, of the sockets of some openers with a known owner; 1 if they have none.
func (c CoverageByOpener) Of(counts func(Opener) bool) float64 {
	unresolved, accepted := 0, 0
	for by, n := range c {
		if counts(by) {
			accepted += n.accepted
			unresolved += n.unresolved
		}
	}
	if accepted == 0 {
		return 1
	}
	return 1 - float64(unresolved)/float64(accepted)
}
