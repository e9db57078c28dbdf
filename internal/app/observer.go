package app

import (
	"context"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
)

// observer gives Views to everyone who asks for one, and remembers each of them.
type observer struct {
	*closewait.Observer
	history *history.History
}

// newObserver returns an observer of a host whose scans are cancelled when life ends.
func newObserver(life context.Context, h *host, durationBounds []float64) *observer {
	return &observer{closewait.NewObserver(life, h.scan, closewait.NewTracker(durationBounds), time.Now), history.New()}
}

// Observe returns the View of a new scan.
func (o *observer) Observe(ctx context.Context) (*closewait.View, error) {
	return o.remember(o.Observer.Observe(ctx))
}

// Recent returns the last View if it was taken within the given time, otherwise the View of a new
// scan.
func (o *observer) Recent(ctx context.Context, within time.Duration) (*closewait.View, error) {
	return o.remember(o.Observer.Recent(ctx, within))
}

// fdGrowth returns how fast the open descriptors of a process have grown until the last View.
func (o *observer) fdGrowth(id closewait.ProcessID) closewait.Growth {
	return o.history.Process(id).FDs
}

func (o *observer) remember(v *closewait.View, err error) (*closewait.View, error) {
	if err == nil {
		o.history.Add(v)
	}
	return v, err
}
