package reaper

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

func TestARestartDoesNotRenewTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.options.Config.Limits.Actions = 1
		r.leak(alice)
		r.leak(bob)
		r.run()
		after(time.Minute)
		for range 3 {
			r.halt()
			r.run()
			after(time.Minute)
		}
		r.wantActions("signal TERM")
		r.wantMetric(0, "closewait_reaper_budget_remaining")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=cooldown")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=budget")
		r.halt()
	})
}

func TestWithoutAStateFileThatCanBeUsedThereIsNoBudget(t *testing.T) {
	scenarios := map[string]int64{
		"it cannot be written from the start":           0,
		"the disk is full when something is to be done": 6,
	}
	for name, calls := range scenarios {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunning(t, rule())
				failing := newFailingDisk(calls, errors.New("disk full"))
				r.options.StateFile.disk = failing
				r.leak(alice)
				r.run()
				after(5 * time.Minute)
				r.wantActions("")
				r.wantMetric(5, "closewait_reaper_decisions_total", "rule=leak", "decision=budget")
				r.wantMetric(0, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
				r.wantMetric(0, "closewait_reaper_budget_remaining")
				r.wantMetric(1, "closewait_reaper_suspended", "reason=state_file")
				failing.left.Store(1 << 30)
				after(9 * time.Minute)
				r.wantActions("")
				after(2 * time.Minute)
				r.wantActions("signal TERM, signal KILL")
				r.halt()
			})
		})
	}
}

func TestOneReaperActsOnAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.lockErr = errors.New("another reaper acts on this host")
		r.leak(alice)
		r.run()
		after(5 * time.Minute)
		r.wantActions("")
		r.wantMetric(1, "closewait_reaper_suspended", "reason=host_lock")
		r.wantMetric(0, "closewait_reaper_suspended", "reason=refused")
		r.wantMetric(6, "closewait_reaper_decisions_total", "rule=leak", "decision=suspended")
		r.fakeHost.mu.Lock()
		r.lockErr = nil
		r.fakeHost.mu.Unlock()
		after(time.Minute)
		r.wantMetric(0, "closewait_reaper_suspended", "reason=host_lock")
		r.wantActions("signal TERM")
		r.halt()
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.Steps[0] = step.Signal{Name: "TERM", Wait: time.Hour} }))
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.wantActions("signal TERM")
		started := time.Now()

		after(time.Minute)
		if err := r.Reload(func() (*rules.Config, error) { return nil, errors.New("line 3: unknown key") }); err == nil {
			t.Error("a bad file was taken")
		}
		r.wantMetric(0, "closewait_config_last_reload_successful")
		r.wantMetric(float64(started.Add(-time.Minute).Unix()), "closewait_config_last_reload_success_timestamp_seconds")
		after(time.Minute)
		r.wantMetric(2, "closewait_reaper_decisions_total", "rule=leak", "decision=in_progress")

		fresh := config(rule(func(r *rules.Rule) { r.Name = "fresh" }), rule())
		fresh.Interval = time.Second
		if err := r.Reload(func() (*rules.Config, error) { return fresh, nil }); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		r.wantMetric(1, "closewait_config_last_reload_successful")
		r.wantMetric(float64(time.Now().Unix()), "closewait_config_last_reload_success_timestamp_seconds")
		r.wantMetric(0, "closewait_reaper_remediations_total", "rule=fresh", "result=killed")
		r.leak(bob)
		after(10 * time.Second)
		r.wantMetric(19, "closewait_reaper_decisions_total", "rule=fresh", "decision=in_progress")
		r.wantMetric(22, "closewait_reaper_decisions_total", "rule=leak", "decision=in_progress")
		r.halt()
	})
}

func TestARuleThatCannotBeCarriedOutIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := rule(func(r *rules.Rule) { r.Name, r.Steps = "cut", []step.Step{step.Destroy{}} })
		trial := rule(func(r *rules.Rule) { r.Name, r.Steps, r.Mode = "trial", []step.Step{step.Destroy{}}, rules.DryRun })
		trial.Match.Exe = regexp.MustCompile(`^/opt/.*$`)
		r := newRunning(t, cut, trial, rule())
		r.options.Rights = func() step.Rights { return step.Rights{Destroy: errors.New("CAP_NET_ADMIN is missing")} }
		r.leak(alice)
		r.leak(bob).process.Exe = "/opt/server"
		r.run()
		after(time.Minute)
		r.wantActions("signal TERM")
		r.wantMetric(2, "closewait_reaper_decisions_total", "rule=cut", "decision=suspended")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=trial", "decision=dry_run")
		r.wantMetric(1, "closewait_reaper_suspended", "reason=refused")
		r.halt()
	})
}

func TestCommandLinesAreReadWhenARuleAsksForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.Match.Command = regexp.MustCompile(`^.* --leak$`) }))
		reads := 0
		r.options.Command = func(context.Context, *closewait.Process) (string, error) {
			if reads++; reads == 1 {
				return "", errors.New("it hangs")
			}
			return "server --leak", nil
		}
		r.on["signal TERM"] = exits
		r.leak(alice)
		r.run()
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=incomplete_scan")
		after(2 * time.Minute)
		r.wantActions("signal TERM")
		if reads != 3 {
			t.Errorf("%d reads, want one that failed, one that did not, and one before the step", reads)
		}
		r.halt()
	})
}
