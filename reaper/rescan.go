package reaper

import (
	"context"
	"fmt"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
)

// rescan returns a new View. One that shows too little is taken again for as long as no gap arises:
// the sockets of a process that is just ending have no owner for a moment, and another remediation
// may have ended it.
func (r *remediation) rescan(ctx context.Context) (*closewait.View, error) {
	for started := time.Now(); ; {
		view, err := r.observe(ctx)
		if err != nil {
			return nil, fmt.Errorf("scan before a step: %w", err)
		}
		if label, _ := policy.ViewUnusable(view); label == "" || time.Since(started) >= r.policy.MaxGap() {
			return view, nil
		}
		select {
		case <-time.After(r.policy.Interval()):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
