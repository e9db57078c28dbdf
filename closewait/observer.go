package closewait

import (
	"context"
	"sync"
	"time"
)

// Scan takes one look at the host. It should honour its context, and may not: a read of the host
// can hang.
type Scan func(context.Context) (*Snapshot, error)

// Observer gives Views to scrapes and to the reaper: one Tracker, so that the ages which are
// published and those which are acted on agree. One scan runs at a time; who asks meanwhile shares
// its result.
type Observer struct {
	life    context.Context // of the scans: longer than that of any one who asks
	scan    Scan
	tracker *Tracker
	now     func() time.Time

	mu     sync.Mutex
	last   *View
	flight *flight
	idle   sync.WaitGroup
}

// flight is a scan under way. Its result may be read when done is closed.
type flight struct {
	done chan struct{}
	view *View
	err  error
}

// NewObserver returns an Observer whose scans are cancelled when life ends. The clock now is only
// used to tell how old the last View is and how long a scan took.
func NewObserver(life context.Context, scan Scan, tracker *Tracker, now func() time.Time) *Observer {
	return &Observer{life: life, scan: scan, tracker: tracker, now: now}
}

// Recent returns the last View if it was taken within the given time, else that of a new scan.
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
// or that of ctx when ctx ends first: the scan then goes on, so that one which takes longer than
// anybody waits is not begun again and again from nothing.
func (o *Observer) Observe(ctx context.Context) (*View, error) {
	f := o.join()
	select {
	case <-f.done:
		return f.view, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Wait returns when no scan is under way.
func (o *Observer) Wait() { o.idle.Wait() }

// join returns the scan under way, or starts one.
func (o *Observer) join() *flight {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.flight == nil {
		o.flight = &flight{done: make(chan struct{})}
		o.idle.Go(o.fly)
	}
	return o.flight
}

func (o *Observer) fly() {
	started := o.now()
	view, err := o.look()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		view.Took = o.now().Sub(started)
	}
	o.last = view // none after a failure: nobody is to be given old numbers
	o.flight.view, o.flight.err = view, err
	close(o.flight.done)
	o.flight = nil
}

func (o *Observer) look() (*View, error) {
	snapshot, err := o.scan(o.life)
	if err != nil {
		return nil, err
	}
	return o.tracker.Update(snapshot), nil
}
