package reaper

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/reaper/rules"
)

// fakeFleet answers in memory.
type fakeFleet struct {
	mu    sync.Mutex
	value func(asked int) (float64, error)
	asked int

	take, renew error
	held        int // slots
	taken       []string
}

// count returns one of the counters.
func (f *fakeFleet) count(n *int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *n
}

func (f *fakeFleet) TakeSlot(_ context.Context, s *rules.Slots, _ string) (Slot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.take != nil {
		return nil, f.take
	}
	f.held++
	f.taken = append(f.taken, s.Namespace)
	return f, nil
}

func (f *fakeFleet) Renew(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.renew
}

func (f *fakeFleet) Release(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held--
	return ctx.Err()
}

func (f *fakeFleet) BrakeValue(_ context.Context, _ *rules.Brake, rule, group string) (float64, error) {
	if rule != "leak" || group != "alice" {
		return 0, errors.New("asked about " + rule + " and " + group)
	}
	f.mu.Lock()
	f.asked++
	asked := f.asked
	f.mu.Unlock()
	return f.value(asked) // which can take long
}

// newBraked is newRunning with a brake that settles for two minutes.
func newBraked(t *testing.T, value func(asked int) (float64, error), list ...rules.Rule) (*runningReaper, *fakeFleet) {
	r, f := newRunning(t, list...), &fakeFleet{value: value}
	r.options.Config.Fleet.Brake = &rules.Brake{Below: 5, Settle: 2 * time.Minute}
	r.options.Fleet = f
	return r, f
}

func returns(value float64, err error) func(int) (float64, error) {
	return func(int) (float64, error) { return value, err }
}

func TestTheBrakeIsAskedOnceTheCandidateIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := newBraked(t, returns(4, nil), rule())
		r.on["signal TERM"] = exits
		r.leak(alice)
		r.run()
		r.wantMetric(0, "closewait_reaper_candidates", "rule=leak", "mode=enforce")
		after(time.Minute)
		for range 2 {
			r.wantMetric(1, "closewait_reaper_candidates", "rule=leak", "mode=enforce")
			r.wantMetric(0, "closewait_reaper_candidates", "rule=leak", "mode=dry_run")
			if f.count(&f.asked) > 0 {
				t.Fatal("the brake was asked at once")
			}
			after(time.Minute)
		}
		r.wantActions("signal TERM")
		r.wantMetric(2, "closewait_reaper_decisions_total", "rule=leak", "decision=brake")
		after(time.Minute)
		r.wantMetric(0, "closewait_reaper_candidates", "rule=leak", "mode=enforce")
		r.halt()
	})
}

func TestNothingIsDoneWithoutTheConsentOfTheBrake(t *testing.T) {
	for name, c := range map[string]struct {
		value float64
		err   error
		want  string
	}{
		"the limit is reached":  {5, nil, "brake"},
		"it is not a number":    {math.NaN(), nil, "brake"},
		"there is no answer":    {0, errors.New("the answer is empty"), "brake_failed"},
		"the server is not up":  {0, context.DeadlineExceeded, "brake_failed"},
		"the limit is exceeded": {math.Inf(1), nil, "brake"},
	} {
		for _, mode := range []rules.Mode{rules.DryRun, rules.Enforce} {
			t.Run(name+" in "+mode.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, f := newBraked(t, returns(c.value, c.err), rule(func(r *rules.Rule) { r.Mode = mode }))
					r.leak(alice)
					r.run()
					after(2 * time.Hour)
					r.wantActions("")
					r.wantMetric(0, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=dry_run")
					r.wantMetric(1, "closewait_reaper_candidates", "rule=leak", "mode="+mode.String())
					if mode == rules.Enforce {
						r.wantMetric(3, "closewait_reaper_budget_remaining")
					}
					if f.count(&f.asked) < 10 || f.count(&f.asked) > 20 {
						t.Errorf("asked %d times, want about every ten minutes", f.count(&f.asked))
					}
					longest := 0.0
					for range 10 {
						after(time.Minute)
						seconds, _ := sample(t, r.Metrics(), "closewait_reaper_blocked_seconds", "rule=leak", "by="+c.want)
						longest = max(longest, seconds)
					}
					if longest < 7200 {
						t.Errorf("blocked for %v s by %s\n%s", longest, c.want, r.log.String())
					}
					r.halt()
				})
			})
		}
	}
}

func TestTheBrakeIsAskedAgainBeforeEachStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := newBraked(t, func(asked int) (float64, error) { return float64(3 * asked), nil }, rule())
		r.leak(alice)
		r.run()
		after(3*time.Minute + 30*time.Second)
		r.wantActions("signal TERM") // and no KILL
		if f.count(&f.asked) != 2 {
			t.Errorf("asked %d times", f.count(&f.asked))
		}
		r.wantMetric(3, "closewait_reaper_decisions_total", "rule=leak", "decision=brake")
		r.wantMetric(1, "closewait_reaper_remediations_total", "rule=leak", "result=aborted")
		r.halt()
	})
}

// TestTheBrakeOfNewRulesIsAskedBeforeTheFirstStep reloads while the brake is asked.
func TestTheBrakeOfNewRulesIsAskedBeforeTheFirstStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *runningReaper
		r, f := newBraked(t, func(asked int) (float64, error) {
			if asked == 1 {
				reloadWith(t, r, func(c *rules.Config) { c.Fleet.Brake = &rules.Brake{Below: 3, Settle: 2 * time.Minute} })
			}
			return 4, nil
		}, rule())
		r.leak(alice)
		r.run()
		after(3*time.Minute + time.Second)
		r.wantActions("")
		if f.count(&f.asked) != 2 {
			t.Errorf("asked %d times", f.count(&f.asked))
		}
		r.halt()
	})
}

// reloadWith gives the reaper the same rules with a change.
func reloadWith(t *testing.T, r *runningReaper, change func(*rules.Config)) {
	t.Helper()
	again := config(rule())
	change(again)
	if err := r.Reload(func() (*rules.Config, error) { return again, nil }); err != nil {
		t.Error(err)
	}
}

// newSlotted is newRunning with slots.
func newSlotted(t *testing.T, f *fakeFleet, list ...rules.Rule) *runningReaper {
	r := newRunning(t, list...)
	r.options.Config.Fleet.Slots = &rules.Slots{Namespace: "closewait", Count: 1, Hold: 10 * time.Minute}
	r.options.Fleet = f
	return r
}

func TestASlotIsHeldDuringARemediation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFleet{}
		r := newSlotted(t, f, rule())
		r.on["signal KILL"] = exits
		r.leak(alice)
		r.run()
		after(time.Minute + time.Second)
		if r.wantActions("signal TERM"); f.count(&f.held) != 1 {
			t.Errorf("%d slots are held between the steps", f.count(&f.held))
		}
		after(time.Minute)
		if r.wantActions("signal TERM, signal KILL"); f.count(&f.held) != 0 {
			t.Errorf("%d slots are held after the end", f.count(&f.held))
		}
		r.halt()
	})
}

func TestAReloadReplacesTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFleet{}
		r := newSlotted(t, f, rule())
		r.on["signal TERM"] = func(*fakeProcess) error {
			reloadWith(t, r, func(c *rules.Config) {
				c.Fleet.Slots = &rules.Slots{Namespace: "other", Count: 1, Hold: 10 * time.Minute}
			})
			return nil
		}
		held := 0
		r.on["signal KILL"] = func(p *fakeProcess) error { held = f.count(&f.held); return exits(p) }
		r.leak(alice)
		r.run()
		after(2*time.Minute + time.Second)
		r.wantActions("signal TERM, signal KILL")
		if got := strings.Join(f.taken, " "); got != "closewait other" || held != 1 || f.count(&f.held) != 0 {
			t.Errorf("slots of %q, %d held at KILL, %d at the end", got, held, f.count(&f.held))
		}
		r.halt()
	})
}

func TestASlotIsGivenBackWhenTheReaperEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFleet{}
		r := newSlotted(t, f, rule())
		r.leak(alice)
		r.run()
		after(time.Minute + time.Second)
		if r.halt(); f.count(&f.held) != 0 {
			t.Errorf("%d slots are held after the end", f.count(&f.held))
		}
	})
}

func TestNothingIsDoneWithoutASlot(t *testing.T) {
	for name, c := range map[string]struct {
		take error
		want string
	}{
		"others have all":    {ErrNoSlot, "slot"},
		"there is no answer": {errors.New("connection refused"), "slot_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSlotted(t, &fakeFleet{take: c.take}, rule())
				r.leak(alice)
				r.run()
				after(time.Minute)
				r.wantActions("")
				r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision="+c.want)
				after(time.Minute)
				r.wantMetric(3, "closewait_reaper_budget_remaining")
				r.halt()
			})
		})
	}
}

func TestWithoutItsSlotARemediationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFleet{}
		r := newSlotted(t, f, rule())
		r.on["signal TERM"] = func(*fakeProcess) error {
			f.mu.Lock()
			f.renew = errors.New("another holder")
			f.mu.Unlock()
			return nil
		}
		r.leak(alice)
		r.run()
		after(2 * time.Minute)
		r.wantActions("signal TERM") // and no KILL
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=slot_failed")
		r.halt()
	})
}

func TestDryRunTakesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSlotted(t, &fakeFleet{take: errors.New("taken")}, rule(func(r *rules.Rule) { r.Mode = rules.DryRun }))
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.wantMetric(2, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=dry_run")
		r.halt()
	})
}
