package report

import (
	"context"
	"time"

	"closewait_exporter/closewait"
)

// maxWait is the longest that a person has to wait for the second scan.
const maxWait = 5 * time.Second

// Observe scans the host. The procfs scanner cannot know the age of a socket in its first scan, no
// scanner the age of a closed one, and answers to keepalive probes make a socket look younger. If
// such sockets could be younger than minAge and would be hidden, Observe scans again after minAge:
// what was there both times is listed, and sockets that were just closing are not.
func Observe(ctx context.Context, observe func(context.Context) (*closewait.View, error), minAge time.Duration) (*closewait.View, error) {
	view, err := observe(ctx)
	if err != nil || minAge <= 0 || minAge > maxWait || !mayHideOldSockets(view, minAge) {
		return view, err
	}
	select {
	case <-time.After(minAge):
		return observe(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// mayHideOldSockets reports whether sockets that look younger than minAge may be older.
func mayHideOldSockets(v *closewait.View, minAge time.Duration) bool {
	return countSockets(v, func(s *closewait.Socket) bool { return s.AgeIsLowerBound && s.Age(v.Taken) < minAge }) > 0
}

// countLowerBounds counts the ended and unaccepted sockets whose age is a lower bound.
func countLowerBounds(v *closewait.View) int {
	return countSockets(v, func(s *closewait.Socket) bool { return s.AgeIsLowerBound })
}

// countSockets counts the ended and unaccepted sockets with a property, each once.
func countSockets(v *closewait.View, property func(*closewait.Socket) bool) int {
	found := map[closewait.SocketID]bool{}
	mark := func(sockets []*closewait.Socket) {
		for _, s := range sockets {
			if property(s) {
				found[s.ID] = true
			}
		}
	}
	mark(v.Ownerless)
	for _, h := range v.Holders {
		mark(h.Ended.Sockets)
		mark(h.Unaccepted.Sockets)
	}
	return len(found)
}
