package closewait

import "time"

// ManyOthers is the number of sockets in other states for which a holder is listed. Every client
// has some for a moment.
const ManyOthers = 10

// Listed returns the holders of a View that are shown to users, worst first: those with an ended or
// unaccepted socket at least minAge old, or with many sockets in other states. A program that
// closes its connections leaves them in CLOSE_WAIT for less. All sockets of a listed holder count,
// younger ones too.
func Listed(v *View, minAge time.Duration) []*Holder {
	listed := make([]*Holder, 0, len(v.Holders))
	for _, h := range v.Holders {
		if h.hasSocketOf(minAge, v.Taken) || h.Other.Len() >= ManyOthers {
			listed = append(listed, h)
		}
	}
	return listed
}

// hasSocketOf reports whether an ended or unaccepted socket has at least an age at the time now.
func (h *Holder) hasSocketOf(age time.Duration, now time.Time) bool {
	return h.Ended.Len()+h.Unaccepted.Len() > 0 && h.Oldest(now) >= age
}
