package reaper

import (
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

func TestABlockedLeakIsPublished(t *testing.T) {
	const name = "closewait_reaper_blocked_seconds"
	guarded := rule(func(r *rules.Rule) { r.Steps = []step.Step{allSteps[1], allSteps[4]} })
	scenarios := map[string]struct {
		rule    rules.Rule
		prepare func(*runningReaper)
		by      string
	}{
		"by a guard that denies": {guarded, func(r *runningReaper) { r.on["run /bin/guard"] = fails(closewait.ErrGuardDenied) }, "guard_denied"},
		"by a guard that fails":  {guarded, func(r *runningReaper) { r.on["run /bin/guard"] = fails(closewait.ErrGuardFailed) }, "guard_failed"},
		"by the audit file":      {guarded, func(r *runningReaper) { r.audit.room = 0 }, "audit_failed"},
		"by the host lock":       {rule(), func(r *runningReaper) { r.lockErr = closewait.ErrGone }, "suspended"},
	}
	for what, s := range scenarios {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunning(t, s.rule)
				p := r.leak(alice)
				s.prepare(r)
				r.run()
				r.wantMetric(0, name, "rule=leak", "by="+s.by)
				after(9*time.Minute + time.Second)
				longest := 0.0 // rounds of attempts show none
				for range 10 {
					after(time.Minute)
					seconds, _ := sample(t, r.Metrics(), name, "rule=leak", "by="+s.by)
					longest = max(longest, seconds)
				}
				if longest < 15*60 || longest > 20*60 {
					t.Errorf("blocked for %v s, want nearly 18 minutes\n%s", longest, r.log.String())
				}
				p.exit()
				after(2 * time.Minute)
				r.wantMetric(0, name, "rule=leak", "by="+s.by)
				r.halt()
			})
		})
	}
}
