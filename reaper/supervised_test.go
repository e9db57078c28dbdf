package reaper

import (
	"context"
	"regexp"
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

// TestQuestionsToASupervisorThatDoesNotAnswerCauseNoGap, even if reading command lines takes all
// its time too. Later rounds ask about the processes that were left out.
func TestQuestionsToASupervisorThatDoesNotAnswerCauseNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.AcceptNoRestart, r.Match.Command = false, regexp.MustCompile("^server") }))
		scan := r.options.Observe
		r.options.Observe = func(ctx context.Context) (*closewait.View, error) {
			time.Sleep(10 * time.Second)
			return scan(ctx)
		}
		r.options.Command = func(ctx context.Context, _ *closewait.Process) (string, error) {
			<-ctx.Done()
			return "server --leak", nil
		}
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
		after(20 * time.Minute)
		if n := askedAbout(); n != 2 {
			t.Errorf("asked about %d processes, want 2", n)
		}
		r.wantMetric(0, "closewait_reaper_decisions_total", "rule=leak", "decision=gap")
		if r.Stalled() {
			t.Error("the reaper is stalled")
		}
		r.wantActions("")
		r.halt()
	})
}
