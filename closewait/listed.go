package closewait

import "time"

// ManyOthers is the number of old sockets in other states for which a holder is listed.
const ManyOthers = 10

// Listed returns the holders of a View that are shown to users, worst first: those with an ended or
// unaccepted socket at least minAge old, or with ManyOthers sockets in other states that may be as
// old. A program that closes its connections leaves them in CLOSE_WAIT for less, and every client
// has sockets in other states for a moment. All sockets of a listed holder count, younger ones too.
func Listed(v *View, minAge time.Duration) []*Holder {
	listed := make([]*Holder, 0, len(v.Holders))
	for _, h := range v.Holders {
		if h.hasSocketOf(minAge, v.Taken) || h.hasOthersOf(minAge, v.Taken) {
			listed = append(listed, h)
		}
	}
	return listed
}

// hasSocketOf reports whether an ended or unaccepted socket has at least an age at the time now.
func (h *Holder) hasSocketOf(age time.Duration, now time.Time) bool {
	return h.Ended.Len()+h.Unaccepted.Len() > 0 && h.Oldest(now) >= age
}

// hasOthersOf reports whether ManyOthers sockets in other states may have an age at the time now.
// No scan knows the age of those that it sees when it reads their namespace for the first time.
func (h *Holder) hasOthersOf(age time.Duration, now time.Time) bool {
	old := 0
	for _, s := range h.Other.Sockets {
		if s.AgeIsLowerBound || s.Age(now) >= age {
			old++
		}
	}
	return old >= ManyOthers
}
