package closewait

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowScan counts its calls and takes a second each, also when its context ends before.
type slowScan struct {
	calls int
	err   error
}

func (s *slowScan) scan(context.Context) (*Snapshot, error) {
	s.calls++
	time.Sleep(time.Second) // of the bubble's clock: no time passes
	return &Snapshot{Taken: time.Now()}, s.err
}

func observe(t *testing.T, err error, test func(t *testing.T, o *Observer, scans *slowScan)) {
	synctest.Test(t, func(t *testing.T) {
		scans := &slowScan{err: err}
		o := NewObserver(t.Context(), scans.scan, NewTracker(nil), time.Now)
		defer o.Wait()
		test(t, o, scans)
	})
}

func TestWhoAsksDuringAScanSharesIt(t *testing.T) {
	observe(t, nil, func(t *testing.T, o *Observer, scans *slowScan) {
		var views [5]*View
		var all sync.WaitGroup
		for i := range views {
			all.Go(func() { views[i], _ = o.Observe(t.Context()) })
		}
		all.Wait()
		for _, v := range views {
			if v == nil || v != views[0] {
				t.Errorf("views %v, want one and the same", views)
			}
		}
		if scans.calls != 1 {
			t.Errorf("%d scans, want 1", scans.calls)
		}
		if views[0].Took != time.Second {
			t.Errorf("took %s, want 1s", views[0].Took)
		}
	})
}

func TestRecentScansOnlyWhenTheLastViewIsTooOld(t *testing.T) {
	observe(t, nil, func(t *testing.T, o *Observer, scans *slowScan) {
		for i, step := range []struct {
			wait  time.Duration
			scans int
		}{{0, 1}, {500 * time.Millisecond, 1}, {500 * time.Millisecond, 1}, {time.Millisecond, 2}, {time.Hour, 3}} {
			time.Sleep(step.wait)
			if _, err := o.Recent(t.Context(), time.Second); err != nil {
				t.Fatal(err)
			}
			if scans.calls != step.scans {
				t.Errorf("step %d: %d scans, want %d", i+1, scans.calls, step.scans)
			}
		}
	})
}

func TestObserveIsAlwaysFresh(t *testing.T) {
	observe(t, nil, func(t *testing.T, o *Observer, scans *slowScan) {
		first, _ := o.Observe(t.Context())
		second, _ := o.Observe(t.Context())
		if first == second || scans.calls != 2 {
			t.Errorf("%d scans for two calls, want 2", scans.calls)
		}
	})
}

func TestWhoAsksWaitsNoLongerThanItsOwnContext(t *testing.T) {
	observe(t, nil, func(t *testing.T, o *Observer, scans *slowScan) {
		impatient, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		started := time.Now()
		var patient *View
		var wait sync.WaitGroup
		wait.Go(func() { patient, _ = o.Observe(t.Context()) })
		if _, err := o.Observe(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the error of the context", err)
		}
		if waited := time.Since(started); waited != 300*time.Millisecond {
			t.Errorf("waited %s, want 300ms", waited)
		}
		wait.Wait()
		if patient == nil || scans.calls != 1 {
			t.Errorf("view %v after %d scans: the scan must go on for the other", patient, scans.calls)
		}
	})
}

func TestAScanThatNoCallerWaitsForServesTheNext(t *testing.T) {
	observe(t, nil, func(t *testing.T, o *Observer, scans *slowScan) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = o.Observe(gone)
		o.Wait()
		if _, err := o.Recent(t.Context(), time.Second); err != nil || scans.calls != 1 {
			t.Errorf("%d scans, error %v; want the View of the first scan", scans.calls, err)
		}
	})
}

func TestAFailedScanIsNotRememberedAndGivesNoOldView(t *testing.T) {
	broken := errors.New("no /proc")
	observe(t, nil, func(t *testing.T, o *Observer, scans *slowScan) {
		_, _ = o.Observe(t.Context())
		scans.err = broken
		if v, err := o.Observe(t.Context()); v != nil || !errors.Is(err, broken) {
			t.Errorf("view %v, error %v; want none and the error of the scan", v, err)
		}
		if v, err := o.Recent(t.Context(), time.Hour); v != nil || !errors.Is(err, broken) {
			t.Errorf("view %v, error %v; want no View of before the failure", v, err)
		}
		scans.err = nil
		if v, err := o.Observe(t.Context()); v == nil || err != nil {
			t.Errorf("view %v, error %v after the error was fixed", v, err)
		}
	})
}
