package reaper

import (
	"context"
	"fmt"
	"time"

	"closewait_exporter/closewait"
)

// look takes a fresh look at the host. One that shows too little is taken again, for as long as is
// no gap: the sockets of a process that is just ending have no owner for a moment, and it may be
// another ladder that has ended it.
func (l *ladder) look(ctx context.Context) (*closewait.View, error) {
	for started := time.Now(); ; {
		view, err := l.observe(ctx)
		if err != nil {
			return nil, fmt.Errorf("look again: %w", err)
		}
		if label, _ := blind(view); label == unlabelled || time.Since(started) >= l.policy.gapAfter() {
			return view, nil
		}
		select {
		case <-time.After(l.policy.config.Interval):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
