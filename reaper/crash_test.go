package reaper

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// TestACrashAtAnyMomentSavesNoBudget ends the reaper at random moments as kill -9 does: from then
// on it neither acts nor writes. The remediations that it started have used the budget.
func TestACrashAtAnyMomentSavesNoBudget(t *testing.T) {
	const crashes = 300
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		r := newRunning(t, rule(func(r *rules.Rule) { r.Cooldown = time.Second }))
		r.options.Config.Interval = 10 * time.Second
		r.options.Config.Limits = rules.Limits{Actions: 2, Per: 10 * time.Minute}
		for i := range 6 {
			r.leak(closewait.ProcessID{PID: 20 + i, Start: 1}).process.Comm = string(rune('a' + i))
		}
		for i := range 7 { // with as many healthy processes the breaker does not trip
			p := r.leak(closewait.ProcessID{PID: 30 + i, Start: 1})
			p.process.Comm, p.sockets = string(rune('A'+i)), p.sockets[:1]
		}
		for range crashes {
			disk := newFailingDisk(1<<30, errKilled)
			r.options.StateFile.disk = disk
			r.run()
			after(time.Duration(rng.IntN(int(2 * time.Minute))))
			if rng.IntN(3) == 0 {
				disk.left.Store(rng.Int64N(6)) // it dies in the middle of a write
				after(20 * time.Second)
			}
			disk.left.Store(0)
			r.halt()
		}
		var begun []time.Time
		for _, record := range r.audit.records {
			if record.DecisionRecord == nil {
				continue
			}
			begun = append(begun, record.Time)
			if n := len(begun); n > 2 && begun[n-1].Sub(begun[n-3]) < 10*time.Minute {
				t.Errorf("3 remediations within %s, limits are 2 in 10m", begun[n-1].Sub(begun[n-3]))
			}
		}
		if len(begun) < crashes/20 {
			t.Errorf("only %d remediations in %d runs: the test tries too little", len(begun), crashes)
		}
	})
}
