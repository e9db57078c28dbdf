package report

import (
	"context"
	"time"

	"closewait_exporter/closewait"
)

// longestWait is for how long a person is kept waiting to learn what is old and what is not.
const longestWait = 5 * time.Second

// Look observes the host. Some engines cannot tell the age of a socket at first sight, and none that of
// a defunct one, so that all would be younger than minAge and hidden: where that is so, Look looks again after minAge. What was
// there both times is listed, and ordinary closing is not.
func Look(ctx context.Context, observe func(context.Context) (*closewait.View, error), minAge time.Duration) (*closewait.View, error) {
	view, err := observe(ctx)
	if err != nil || minAge <= 0 || minAge > longestWait || agelessSockets(view) == 0 {
		return view, err
	}
	select {
	case <-time.After(minAge):
		return observe(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ageless tells whether a socket is only known to be as old as our first sight of it: engines that
// know no cookie know no times, and none knows when a socket became defunct.
func ageless(s *closewait.Socket) bool {
	return (s.ID.Cookie == 0 || s.Defunct) && s.Since.Equal(s.FirstSeen)
}

// agelessSockets counts each socket once.
func agelessSockets(v *closewait.View) int {
	found := map[closewait.SocketID]bool{}
	mark := func(sockets []*closewait.Socket) {
		for _, s := range sockets {
			if ageless(s) {
				found[s.ID] = true
			}
		}
	}
	mark(v.Ownerless)
	for _, h := range v.Holders {
		mark(h.Held.Sockets)
		mark(h.Unaccepted.Sockets)
		mark(h.Defunct.Sockets)
	}
	return len(found)
}
