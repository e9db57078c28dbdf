package report

import (
	"context"
	"time"

	"closewait_exporter/closewait"
)

// maxWait is the longest that a person has to wait for the second scan.
const maxWait = 5 * time.Second

// Observe scans the host. The procfs scanner cannot know the age of a socket in its first scan,
// and no scanner the age of a closed one, so all of these would be younger than minAge and
// hidden. If there are any, Observe scans again after minAge: what was there both times is
// listed, and sockets that were just closing are not.
func Observe(ctx context.Context, observe func(context.Context) (*closewait.View, error), minAge time.Duration) (*closewait.View, error) {
	view, err := observe(ctx)
	if err != nil || minAge <= 0 || minAge > maxWait || countUnknownAges(view) == 0 {
		return view, err
	}
	select {
	case <-time.After(minAge):
		return observe(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hasUnknownAge reports whether the age of a socket counts only from the first scan that saw it:
// scanners that know no cookie know no times, and none knows when a socket was closed.
func hasUnknownAge(s *closewait.Socket) bool {
	return s.AgeIsLowerBound && s.Since.Equal(s.FirstSeen)
}

// countUnknownAges counts the sockets of unknown age, each once.
func countUnknownAges(v *closewait.View) int {
	found := map[closewait.SocketID]bool{}
	mark := func(sockets []*closewait.Socket) {
		for _, s := range sockets {
			if hasUnknownAge(s) {
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
