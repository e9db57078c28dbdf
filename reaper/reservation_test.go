package reaper

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// spent returns the number of actions in the state file.
func (r *runningReaper) spent() int {
	r.t.Helper()
	s, err := r.options.StateFile.load(policy.State{}, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	const many = 100
	return many - s.BudgetLeft(rules.Enforce, time.Now(), rules.Limits{Actions: many, Per: time.Hour})
}

// beforeFirstStep calls f between the first decision to act, in the second round, and the first
// step of its remediation.
func (r *runningReaper) beforeFirstStep(f func()) {
	scans := 0
	r.onScan = func() {
		if scans++; scans == 3 {
			f()
		}
	}
}

func TestARemediationThatDoesNothingGivesBackWhatItReserved(t *testing.T) {
	guardAndTerm := []step.Step{allSteps[1], allSteps[4]}
	scenarios := map[string]struct {
		prepare func(*runningReaper, *fakeProcess)
		spent   int
	}{
		"the guard denies":                          {func(r *runningReaper, _ *fakeProcess) { r.on["run /bin/guard"] = fails(closewait.ErrGuardDenied) }, 0},
		"the guard fails":                           {func(r *runningReaper, _ *fakeProcess) { r.on["run /bin/guard"] = fails(closewait.ErrGuardFailed) }, 0},
		"the audit file is full":                    {func(r *runningReaper, _ *fakeProcess) { r.audit.room = 0 }, 0},
		"the audit file is full after the decision": {func(r *runningReaper, _ *fakeProcess) { r.audit.room = 1 }, 0},
		"the process ends before":                   {func(r *runningReaper, p *fakeProcess) { r.beforeFirstStep(p.exit) }, 0},
		"the process is frozen":                     {func(r *runningReaper, p *fakeProcess) { r.beforeFirstStep(func() { p.halted = true }) }, 0},
		"the guard allows":                          {func(*runningReaper, *fakeProcess) {}, 1},
		"the guard allows, no more":                 {func(r *runningReaper, _ *fakeProcess) { r.on["signal TERM"] = fails(errors.New("EPERM")) }, 1},
		"it is frozen after the guard": {func(r *runningReaper, _ *fakeProcess) {
			r.on["run /bin/guard"] = func(p *fakeProcess) error { p.halted = true; return nil }
		}, 1},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunning(t, rule(func(r *rules.Rule) { r.Steps = guardAndTerm }))
				s.prepare(r, r.leak(alice))
				reserved := -1
				if f := r.on["run /bin/guard"]; f != nil {
					r.on["run /bin/guard"] = func(p *fakeProcess) error { reserved = r.spent(); return f(p) }
				}
				r.run()
				after(time.Minute + 15*time.Second) // the wait after TERM is over
				r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
				r.wantMetric(float64(3-s.spent), "closewait_reaper_budget_remaining")
				if got := r.spent(); got != s.spent {
					t.Errorf("%d actions in the state file, want %d", got, s.spent)
				}
				if reserved == 0 {
					t.Error("nothing was reserved in the state file before the first step")
				}
				r.halt()
			})
		})
	}
}

// TestAKillBeforeTheFirstStepSpendsWhatWasReserved ends the reaper while its guard runs.
func TestAKillBeforeTheFirstStepSpendsWhatWasReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.Steps = []step.Step{allSteps[1], allSteps[4]} }))
		disk := newFailingDisk(1<<30, errKilled)
		r.options.StateFile.disk = disk
		r.on["run /bin/guard"] = func(*fakeProcess) error {
			disk.left.Store(0)
			return closewait.ErrGuardDenied
		}
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.halt()
		disk.left.Store(1 << 30)
		r.run()
		after(5 * time.Minute)
		r.wantActions("run /bin/guard")
		r.wantMetric(2, "closewait_reaper_budget_remaining")
		r.wantMetric(0, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
		r.halt()
	})
}
