package reaper

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// TestALeakWaitsForTheWindowOverARestart: the clock of a bubble begins at midnight UTC.
func TestALeakWaitsForTheWindowOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) {
			r.When.Window = condition.Window{From: time.Hour, To: 2 * time.Hour, Zone: time.UTC}
		}))
		r.on["signal TERM"] = exits
		r.leak(alice)
		r.run()
		after(30 * time.Minute)
		r.wantMetric(1740, "closewait_reaper_blocked_seconds", "rule=leak", "by=window")
		r.halt()
		r.run()
		after(29 * time.Minute)
		r.wantActions("")
		after(2 * time.Minute)
		r.wantActions("signal TERM")
		r.wantMetric(0, "closewait_reaper_blocked_seconds", "rule=leak", "by=window")
		r.halt()
	})
}

// TestALeakThatSlowsDownIsNotKilled: after the TERM the descriptors do not grow any more, and TERM
// has not ended the process.
func TestALeakThatSlowsDownIsNotKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) {
			r.When.FDs, r.When.TimeLeft = condition.Threshold{Count: 50}, time.Hour
		}))
		var slow atomic.Bool
		r.options.FDGrowth = func(closewait.ProcessID) closewait.Growth {
			if slow.Load() {
				return closewait.Growth{Over: time.Minute}
			}
			return closewait.Growth{PerSecond: 1, Over: time.Minute}
		}
		r.on["signal TERM"] = func(*fakeProcess) error { slow.Store(true); return nil }
		r.leak(alice)
		r.run()
		after(5 * time.Minute)
		r.wantActions("signal TERM")
		r.wantMetric(1, "closewait_reaper_remediations_total", "rule=leak", "result=aborted")
		if got, _ := sample(t, r.Metrics(), "closewait_reaper_decisions_total", "rule=leak", "decision=enough_time"); got < 1 {
			t.Errorf("%v decisions of enough_time", got)
		}
		r.halt()
	})
}
