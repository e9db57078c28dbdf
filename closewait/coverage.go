package closewait

// CoverageByUser is the coverage of a View by the users that have opened the sockets.
type CoverageByUser struct{ accepted, unresolved map[uint32]int } // sockets by Facts.UID

// CoverageByUser counts the accepted sockets in CLOSE_WAIT of a View by user, without the transient ones. It
// reads every socket, but only if the owner of some socket is unknown.
func (v *View) CoverageByUser() CoverageByUser {
	unresolved := map[uint32]int{}
	for _, s := range v.Ownerless {
		transient := v.Transient > 0 && s.FirstSeen.Equal(v.Taken)
		if s.Owner == OwnerUnresolved && !transient {
			unresolved[s.UID]++
		}
	}
	if len(unresolved) == 0 {
		return CoverageByUser{}
	}
	accepted := map[uint32]int{}
	for uid, n := range unresolved {
		accepted[uid] = n
	}
	for _, s := range v.Ownerless {
		if s.Owner == OwnedByKernel {
			accepted[s.UID]++
		}
	}
	for _, h := range v.Holders {
		for _, s := range h.Ended.Sockets {
			if s.State == CloseWait && s.Holders[0] == h.ID { // each socket once
				accepted[s.UID]++
			}
		}
	}
	return CoverageByUser{accepted, unresolved}
}

// Of is the share, 0 to 1, of the sockets of some users with a known owner; 1 if they have none.
func (c CoverageByUser) Of(counts func(uid uint32) bool) float64 {
	unresolved, accepted := 0, 0
	for uid, n := range c.accepted {
		if counts(uid) {
			accepted += n
			unresolved += c.unresolved[uid]
		}
	}
	if accepted == 0 {
		return 1
	}
	return 1 - float64(unresolved)/float64(accepted)
}
