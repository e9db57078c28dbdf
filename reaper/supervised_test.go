package reaper

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// TestAProcessThatNothingStartsAgainIsLeftAlone, until a supervisor does.
func TestAProcessThatNothingStartsAgainIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.AcceptNoRestart = false }))
		var mu sync.Mutex
		answer, asked := closewait.Unsupervised("no service"), 0
		r.options.Supervision = func(context.Context, *closewait.Process) closewait.Supervision {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return answer
		}
		r.on["signal TERM"] = exits
		r.leak(alice)
		r.run()
		r.wantMetric(0, "closewait_reaper_supervised_processes", "rule=leak", "supervisor=none")
		mu.Lock()
		if asked != 0 {
			t.Errorf("asked %d times before the leak was past the other checks", asked)
		}
		mu.Unlock()
		after(3 * time.Minute)
		r.wantActions("")
		r.wantMetric(3, "closewait_reaper_decisions_total", "rule=leak", "decision=unsupervised")
		r.wantMetric(1, "closewait_reaper_supervised_processes", "rule=leak", "supervisor=none")
		r.wantMetric(120, "closewait_reaper_blocked_seconds", "rule=leak", "by=unsupervised")

		mu.Lock()
		answer = closewait.Supervision{By: closewait.ByRunit, Text: "runsv"}
		mu.Unlock()
		after(time.Minute)
		r.wantActions("signal TERM")
		r.wantMetric(0, "closewait_reaper_supervised_processes", "rule=leak", "supervisor=none")
		r.wantMetric(1, "closewait_reaper_supervised_processes", "rule=leak", "supervisor=runit")
		r.wantMetric(0, "closewait_reaper_blocked_seconds", "rule=leak", "by=unsupervised")
		r.halt()
	})
}

// TestASupervisorThatIsLostBeforeTheStepStopsIt: it is asked again after the decision.
func TestASupervisorThatIsLostBeforeTheStepStopsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.AcceptNoRestart = false }))
		asked := 0 // by the loop, and then by the remediation that it starts
		r.options.Supervision = func(context.Context, *closewait.Process) closewait.Supervision {
			if asked++; asked == 1 {
				return closewait.Supervision{By: closewait.BySystemd, Text: "web.service"}
			}
			return closewait.Unsupervised("web.service is deactivating")
		}
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.wantActions("")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=act")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=unsupervised")
		r.halt()
	})
}

// TestQuestionsToASupervisorThatDoesNotAnswerEndWithTheInterval, and later rounds ask about the
// processes that were left out.
func TestQuestionsToASupervisorThatDoesNotAnswerEndWithTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.AcceptNoRestart = false }))
		var mu sync.Mutex
		asked := map[closewait.ProcessID]bool{}
		r.options.Supervision = func(ctx context.Context, p *closewait.Process) closewait.Supervision {
			mu.Lock()
			asked[p.ID] = true
			mu.Unlock()
			<-ctx.Done()
			return closewait.Unsupervised("no answer")
		}
		askedAbout := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(asked)
		}
		r.leak(alice)
		r.leak(bob)
		r.run()
		after(2 * time.Minute) // a round of an interval for questions
		if n := askedAbout(); n != 1 {
			t.Errorf("asked about %d processes in the first round, want 1", n)
		}
		after(2 * time.Minute)
		if n := askedAbout(); n != 2 {
			t.Errorf("asked about %d processes in two rounds, want 2", n)
		}
		r.wantActions("")
		r.halt()
	})
}
