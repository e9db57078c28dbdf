package reaper

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

func TestReloadsDoNotDelayRounds(t *testing.T) {
	const interval = time.Minute // of the rules of the tests
	tests := []struct {
		name     string
		every    time.Duration // between two reloads
		interval []time.Duration
		want     float64 // rounds within ten minutes after the first
	}{
		{"as often as a person does", 5 * time.Minute, []time.Duration{interval}, 10},
		{"more often than the interval", time.Second, []time.Duration{interval}, 10},
		{"much more often than the interval", 50 * time.Millisecond, []time.Duration{interval}, 10},
		{"a shorter interval counts from the last round", 90 * time.Second, []time.Duration{30 * time.Second}, 19},
		{"a longer interval counts from the last round", 90 * time.Second, []time.Duration{4 * time.Minute}, 3},
		{"an interval that changes all the time is at most the longest", time.Second, []time.Duration{interval, 2 * interval}, 5},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunning(t, rule())
				r.run()
				configs := make([]*rules.Config, len(test.interval))
				for i := range configs {
					changed := *r.options.Config
					changed.Interval = test.interval[i]
					configs[i] = &changed
				}
				i := 0
				for started := time.Now(); time.Since(started) < 10*time.Minute; i++ {
					after(test.every)
					if err := r.Reload(func() (*rules.Config, error) { return configs[i%len(configs)], nil }); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if got, _ := sample(t, r.Metrics(), "closewait_reaper_rounds_total"); got < 1+test.want {
					t.Errorf("%v rounds with %d reloads, want at least %v", got, i, 1+test.want)
				}
				r.halt()
			})
		})
	}
}

func TestReloadsThatFailDoNotDelayRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.run()
		for range 600 {
			after(time.Second)
			_ = r.Reload(func() (*rules.Config, error) { return nil, errors.New("no such file") })
		}
		r.wantMetric(11, "closewait_reaper_rounds_total")
		r.halt()
	})
}

// TestReloadsAreOneAfterTheOther: otherwise rules that were read before a change of the file could
// replace rules that were read after it.
func TestReloadsAreOneAfterTheOther(t *testing.T) {
	r := newRunning(t, rule())
	r.Reaper = New(r.options)
	var reading atomic.Int32
	var reloads sync.WaitGroup
	for range 20 {
		reloads.Go(func() {
			_ = r.Reload(func() (*rules.Config, error) {
				if reading.Add(1) > 1 {
					t.Error("two reloads read the file at the same time")
				}
				runtime.Gosched()
				reading.Add(-1)
				return r.options.Config, nil
			})
		})
	}
	reloads.Wait()
}

func TestALoopThatHangsIsASuspension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		hang := make(chan struct{})
		var hangs atomic.Bool
		scan := r.options.Observe
		r.options.Observe = func(ctx context.Context) (*closewait.View, error) {
			if hangs.Load() {
				<-hang // whatever ctx says, as a call that is blocked in the kernel
			}
			return scan(ctx)
		}
		r.run()
		requireStalled := func(want bool) {
			t.Helper()
			value := map[bool]float64{true: 1}[want]
			r.wantMetric(value, "closewait_reaper_suspended", "reason=stalled")
			if listed := slices.Contains(r.Status().Suspended, stalledText); listed != want || r.Stalled() != want {
				t.Errorf("stalled is %t, and the status has %q, want %t", r.Stalled(), r.Status().Suspended, want)
			}
		}
		after(5 * time.Minute)
		requireStalled(false)
		hangs.Store(true)
		after(5 * time.Minute) // a scan may take three intervals
		requireStalled(false)
		after(2 * time.Minute)
		requireStalled(true)
		close(hang)
		synctest.Wait()
		requireStalled(false)
		r.halt()
		after(time.Hour)
		requireStalled(false)
	})
}
