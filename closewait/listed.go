package closewait

import "time"

// Listed returns the holders of a View that are shown to users, worst first: those with a socket
// (held, unaccepted or defunct) at least minAge old. A program that closes its connections leaves
// them in CLOSE_WAIT for less. All sockets of a listed holder count, younger ones too.
func Listed(v *View, minAge time.Duration) []*Holder {
	listed := make([]*Holder, 0, len(v.Holders))
	for _, h := range v.Holders {
		if h.Oldest(v.Taken) >= minAge {
			listed = append(listed, h)
		}
	}
	return listed
}
