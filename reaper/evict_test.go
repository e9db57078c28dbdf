package reaper

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

const podUID = "6ad2a9f1"

// evicting is a rule that evicts, for processes of a pod.
func evicting(change ...func(*rules.Rule)) rules.Rule {
	return rule(append([]func(*rules.Rule){func(r *rules.Rule) {
		r.Steps = []step.Step{step.Evict{Namespaces: []string{"shop"}, Wait: 2 * time.Minute}}
	}}, change...)...)
}

// leakInPod makes a process of a pod that leaks.
func (r *runningReaper) leakInPod() *fakeProcess {
	p := r.leak(alice)
	p.process.Pod = podUID
	return p
}

func TestAProcessEndsAfterItsPodWasEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, evicting())
		r.on["evict "+podUID] = exits
		r.leakInPod()
		r.run()
		after(time.Minute)
		r.wantActions("evict " + podUID)
		r.wantMetric(1, "closewait_reaper_remediations_total", "rule=leak", "result=evicted")
		r.wantMetric(1, "closewait_reaper_actions_total", "rule=leak", "action=evict", "mode=enforce")
		r.wantMetric(100, "closewait_reaper_released_fds_total", "rule=leak")
		r.halt()
	})
}

func TestAnEvictionThatIsNotAllowedIsBlocked(t *testing.T) {
	for label, c := range map[string]struct {
		err      error
		failures float64
	}{
		"pdb":            {closewait.ErrDisruptionBudget, 0},
		"refused":        {closewait.ErrRefused, 0},
		"cluster_failed": {closewait.ErrCluster, 1},
	} {
		t.Run(label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunning(t, evicting())
				r.on["evict "+podUID] = fails(fmt.Errorf("pod shop/web-0: %w", c.err))
				r.leakInPod()
				r.run()
				after(time.Minute)
				r.wantActions("evict " + podUID)
				r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision="+label)
				r.wantMetric(c.failures, "closewait_reaper_action_failures_total", "rule=leak", "action=evict", "mode=enforce")
				after(time.Hour)
				r.wantMetric(3, "closewait_reaper_budget_remaining")
				longest := 0.0
				for range 12 {
					after(time.Minute)
					seconds, _ := sample(t, r.Metrics(), "closewait_reaper_blocked_seconds", "rule=leak", "by="+label)
					longest = max(longest, seconds)
				}
				if longest < 3600 {
					t.Errorf("blocked for %v s by %s\n%s", longest, label, r.log.String())
				}
				r.halt()
			})
		})
	}
}

func TestAProcessThatIsInNoPodIsNotEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, evicting())
		r.leak(alice)
		r.run()
		after(time.Minute)
		r.wantActions("")
		r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision=refused")
		r.halt()
	})
}

// lostAnswers evicts nothing, and does not know it.
type lostAnswers struct{ *fakeHost }

func (l lostAnswers) Evict(_ context.Context, e closewait.Eviction) (closewait.EvictionResult, error) {
	return closewait.EvictionResult{Pod: "shop/web-0", Sent: true}, fmt.Errorf("%w: lost", l.act("evict "+e.PodUID, nil))
}

func TestAfterALostAnswerNothingIsSentBeforeTheCooldownIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, evicting(func(r *rules.Rule) { r.Cooldown = 30 * time.Minute }))
		r.options.Executors[rules.Enforce] = lostAnswers{r.fakeHost}
		r.on["evict "+podUID] = fails(closewait.ErrCluster)
		r.leakInPod()
		r.run()
		after(2 * time.Minute)
		r.wantMetric(2, "closewait_reaper_budget_remaining")
		after(27 * time.Minute)
		r.wantActions("evict " + podUID)
		r.halt()
	})
}

func TestDryRunOnlyAsksWhetherThePodWouldBeEvicted(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		label string
		would float64
	}{"it would": {nil, "dry_run", 1}, "the budget is used up": {closewait.ErrDisruptionBudget, "pdb", 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunning(t, evicting(func(r *rules.Rule) { r.Mode = rules.DryRun }))
				r.on["dry run of evict "+podUID] = fails(c.err)
				r.leakInPod()
				r.run()
				after(time.Minute)
				r.wantActions("dry run of evict " + podUID)
				r.wantMetric(1, "closewait_reaper_decisions_total", "rule=leak", "decision="+c.label)
				r.wantMetric(c.would, "closewait_reaper_actions_total", "rule=leak", "action=evict", "mode=dry_run")
				r.halt()
			})
		})
	}
}

func TestWithSlotsAPodNeedsNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSlotted(t, &fakeFleet{}, evicting())
		r.leakInPod()
		r.run()
		after(time.Minute)
		r.wantActions("evict " + podUID + " without a budget")
		r.halt()
	})
}
