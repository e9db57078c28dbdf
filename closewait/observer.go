package closewait

import (
	"context"
	"sync"
	"time"
)

// Scan reads the host once. It should return when its context ends, but a read of the host can
// hang.
type Scan func(context.Context) (*Snapshot, error)

// Observer gives Views to scrapes and to the reaper. Both share one Tracker, so published ages and
// the ages that the reaper acts on agree. One scan runs at a time; callers share its result.
type Observer struct {
	life    context.Context // of the scans; it outlives the contexts of callers
	scan    Scan
	tracker *Tracker
	now     func() time.Time

	mu      sync.Mutex
	last    *View
	flight  *flight
	running sync.WaitGroup
}

// flight is a scan in progress. Its result may be read once done is closed.
type flight struct {
	done chan struct{}
	view *View
	err  error
}

// NewObserver returns an Observer whose scans are cancelled when life ends. The function now only
// serves to measure how old the last View is and how long a scan took.
func NewObserver(life context.Context, scan Scan, tracker *Tracker, now func() time.Time) *Observer {
	return &Observer{life: life, scan: scan, tracker: tracker, now: now}
}

// Recent returns the last View if it was taken within the given time, otherwise the View of a new
// scan.
func (o *Observer) Recent(ctx context.Context, within time.Duration) (*View, error) {
	o.mu.Lock()
	last := o.last
	o.mu.Unlock()
	if last != nil && o.now().Sub(last.Taken) <= within {
		return last, nil
	}
	return o.Observe(ctx)
}

// Observe returns the View of a scan that ended after the call. It returns the error of the scan,
// or the error of ctx if ctx ends first. The scan continues then, so a scan that takes longer than
// any caller waits is not started again and again.
func (o *Observer) Observe(ctx context.Context) (*View, error) {
	f := o.join()
	select {
	case <-f.done:
		return f.view, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Wait returns when no scan is in progress.
func (o *Observer) Wait() { o.running.Wait() }

// join returns the scan in progress, or starts one.
func (o *Observer) join() *flight {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.flight == nil {
		o.flight = &flight{done: make(chan struct{})}
		o.running.Go(o.runScan)
	}
	return o.flight
}

func (o *Observer) runScan() {
	started := o.now()
	view, err := o.scanOnce()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		view.Took = o.now().Sub(started)
	}
	o.last = view // nil after a failure: old numbers are never handed out
	o.flight.view, o.flight.err = view, err
	close(o.flight.done)
	o.flight = nil
}

func (o *Observer) scanOnce() (*View, error) {
	snapshot, err := o.scan(o.life)
	if err != nil {
		return nil, err
	}
	return o.tracker.Update(snapshot), nil
}
