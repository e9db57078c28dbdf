package reaper

import (
	"context"
	"errors"
	"time"

	"closewait_exporter/closewait"
)

// releasedTimeout limits the count of released sockets, which is made even when the reaper shuts
// down.
const releasedTimeout = 5 * time.Second

// released counts the evidence sockets that no process holds any more, and the descriptors that the
// targets have closed: all descriptors of one that has ended. Unknown numbers count as 0.
func (r *remediation) released() (sockets int, fds uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), releasedTimeout)
	defer cancel()
	holders, err := r.executor.Holders(ctx, r.Evidence)
	if err != nil {
		r.log("msg", "Cannot count the released sockets", "err", err)
		return 0, 0
	}
	for _, s := range r.Evidence {
		if len(holders.Of[s.ID]) == 0 {
			sockets++
		}
	}
	for i := range r.targets {
		fds += r.targets[i].released()
	}
	return sockets, fds
}

func (t *target) released() uint64 {
	now, err := t.Describe()
	switch {
	case errors.Is(err, closewait.ErrGone):
		return t.process.OpenFDs
	case err != nil || !now.FDsKnown:
		return 0
	}
	return t.process.OpenFDs - min(now.OpenFDs, t.process.OpenFDs)
}
