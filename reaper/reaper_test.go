package reaper

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestALeakIsEndedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.on["signal TERM"] = exits
		r.leak(alice)
		r.run()
		r.wantActions("")
		r.wantMetric(0, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=enforce")
		after(time.Minute)
		r.wantActions("signal TERM")
		r.wantMetric(1, "closewait_reaper_info", "mode=enforce")
		r.wantMetric(2, "closewait_reaper_rounds_total")
		r.wantMetric(0, "closewait_reaper_round_failures_total")
		r.wantMetric(float64(time.Now().Unix()), "closewait_reaper_last_round_timestamp_seconds")
		r.wantMetric(1, "closewait_reaper_matched_processes", "rule=leak")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=pending")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
		r.wantMetric(1, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=enforce")
		r.wantMetric(0, "closewait_reaper_action_failures_total", "rule=leak", "action=signal", "mode=enforce")
		r.wantMetric(1, "closewait_reaper_remediations_total", "rule=leak", "result=terminated")
		r.wantMetric(2, "closewait_reaper_released_sockets_total", "rule=leak")
		r.wantMetric(100, "closewait_reaper_released_fds_total", "rule=leak")
		r.wantMetric(2, "closewait_reaper_budget_remaining")
		after(9 * time.Minute)
		r.wantMetric(11, "closewait_reaper_rounds_total")
		r.wantMetric(0, "closewait_reaper_matched_processes", "rule=leak")
		r.halt()
	})
}

func TestDryRunCountsWhatItWouldDoAndReapsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.options.Enforce = false
		r.lockErr = errors.New("dry run needs no lock")
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.wantActions("")
		r.wantMetric(1, "closewait_reaper_info", "mode=dry_run")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=dry_run")
		r.wantMetric(0, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
		r.wantMetric(2, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=dry_run")
		r.wantMetric(0, "closewait_reaper_remediations_total", "rule=leak", "result=killed")
		r.wantMetric(0, "closewait_reaper_suspended", "reason=host_lock")
		after(time.Minute)
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=cooldown")
		r.halt()
	})
}

func TestNoActionWithoutAScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.leak(alice)
		r.scanErr = errors.New("cannot list processes")
		r.run()
		after(time.Minute)
		r.wantMetric(2, "closewait_reaper_round_failures_total")
		r.wantMetric(1, "closewait_reaper_suspended", "reason=scan_failed")
		r.wantMetric(0, "closewait_reaper_last_round_timestamp_seconds")
		r.fakeHost.mu.Lock()
		r.scanErr = nil
		r.fakeHost.mu.Unlock()
		after(time.Minute)
		r.wantMetric(0, "closewait_reaper_suspended", "reason=scan_failed")
		r.wantActions("")
		r.halt()
	})
}

func TestAGapCausesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.run()
		after(time.Minute)
		r.leak(alice)
		r.fakeHost.mu.Lock()
		r.onScan = func() { time.Sleep(10 * time.Minute); r.onScan = nil } // as SIGSTOP does
		r.fakeHost.mu.Unlock()
		after(11 * time.Minute)
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=gap")
		r.wantMetric(1, "closewait_reaper_suspended", "reason=gap")
		r.wantActions("")
		after(time.Minute - time.Second)
		r.wantActions("")
		r.halt()
	})
}

func TestTheReaperEndsInTheMiddleOfARemediation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.leak(alice)
		r.run()
		after(time.Minute + 5*time.Second)
		r.wantActions("signal TERM")
		r.halt()
		after(time.Hour)
		r.wantActions("signal TERM")
		r.wantMetric(1, "closewait_reaper_remediations_total", "rule=leak", "result=aborted")
		if got := r.processes[0].handles.Load(); got != 0 {
			t.Errorf("the process has %d open handles", got)
		}
	})
}
