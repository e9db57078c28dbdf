package reaper

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

func TestDryRunReadsAndChangesNothing(t *testing.T) {
	during := func(scan int, event func(*remedying)) func(*remedying) func() {
		return func(c *remedying) func() {
			scans := 0
			return func() {
				if scans++; scans == scan {
					event(c)
				}
			}
		}
	}
	all := []string{"raise_nofile to hard", "run /bin/guard", "destroy", "thread_dump", "signal TERM", "signal KILL"}
	scenarios := map[string]struct {
		onScan func(*remedying) func()
		steps  []string
		label  policy.Label
	}{
		"all steps are named":       {func(*remedying) func() { return nil }, all, ""},
		"until the leak is gone":    {during(5, func(c *remedying) { c.processes[0].close() }), all[:2], policy.LabelRecovered},
		"until the process ends":    {during(8, func(c *remedying) { c.processes[0].exit() }), all[:5], policy.LabelGone},
		"until it is stopped":       {during(5, func(c *remedying) { c.processes[0].halted = true }), all[:2], condition.LabelStopped},
		"none if it ends before":    {during(3, func(c *remedying) { c.processes[0].exit() }), nil, policy.LabelGone},
		"none if the audit is full": {during(3, func(c *remedying) { c.audit.room = 1 }), nil, policy.LabelAuditFailed},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *remedying) {
				c.leakFor(alice)
				c.rule.Mode = rules.DryRun
				c.executor = step.DryRunExecutor{Executor: c.fakeHost}
				c.onScan = s.onScan(c)
				o := c.remedy(t)
				if len(c.actions) > 0 {
					t.Errorf("done: %v", c.actions)
				}
				if o.Result != "" || o.label != s.label || o.sockets+int(o.fds) != 0 {
					t.Errorf("%q, %s (%s), %d sockets and %d descriptors free, want no result, %s", o.Result, o.label, o.reason, o.sockets, o.fds, s.label)
				}
				if s.label == policy.LabelAuditFailed {
					return
				}
				last := c.audit.records[len(c.audit.records)-1]
				var steps []string
				for _, w := range last.WouldRun {
					steps = append(steps, w.Step)
				}
				if diff := cmp.Diff(s.steps, steps); diff != "" {
					t.Errorf("-want +recorded:\n%s", diff)
				}
			})
		})
	}
}

// resultsOnly are words that only an action makes true.
var resultsOnly = []string{
	"killed", "terminated", "unkillable", "recovered", "aborted", "ended after", "released", "result", "finished", "took_seconds", "2 ended", "limit 1000",
}

// TestDryRunHasNoResults searches all that a rule in dry run writes and shows.
func TestDryRunHasNoResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.Steps = allSteps }), rule(func(r *rules.Rule) { r.Name, r.Steps = "destroys", []step.Step{step.Destroy{}} }))
		r.options.Enforce = false
		r.leak(alice)
		r.leak(bob).process.Exe = "/usr/bin/other"
		r.run()
		after(3 * time.Minute)
		r.processes[0].exit()
		after(10 * time.Minute)
		audit, err := json.Marshal(r.audit.records)
		if err != nil {
			t.Fatal(err)
		}
		var page strings.Builder
		status := r.Status()
		for _, e := range append(status.Decisions, status.Actions...) {
			page.WriteString(e.What + " " + e.Why + "\n")
		}
		for where, text := range map[string]string{"the audit file": string(audit), "the log": r.log.String(), "the page": page.String()} {
			for _, word := range resultsOnly {
				if strings.Contains(text, word) {
					t.Errorf("%s has %q:\n%s", where, word, text)
				}
			}
			if !strings.Contains(text, "signal KILL") {
				t.Errorf("%s does not say what would be done:\n%s", where, text)
			}
		}
		for _, f := range gather(t, r.Metrics()) {
			for _, m := range f.GetMetric() {
				switch f.GetName() {
				case "closewait_reaper_remediations_total", "closewait_reaper_released_sockets_total", "closewait_reaper_released_fds_total":
					if m.GetCounter().GetValue() != 0 {
						t.Errorf("%s%v", f.GetName(), m)
					}
				}
			}
		}
		r.wantMetric(0, "closewait_reaper_action_failures_total", "rule=leak", "action=signal", "mode=dry_run")
		r.halt()
	})
}

// TestAProcessThatEndsDuringADryRunWasNotEnded: dry run has sent no signal.
func TestAProcessThatEndsDuringADryRunWasNotEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.Mode, c.rule.Steps = rules.DryRun, termAndKill
		c.leakFor(alice)
		c.executor = step.DryRunExecutor{Executor: c.fakeHost}
		scans := 0
		c.onScan = func() {
			if scans++; scans == 4 {
				c.processes[0].exit()
			}
		}
		if o := c.remedy(t); o.Result != "" || o.label != policy.LabelGone || strings.Contains(o.reason, "signal") {
			t.Errorf("%q %s: %s", o.Result, o.label, o.reason)
		}
	})
}

// TestAStepThatFindsNothingToDoIsNoAction: the budget is for what was done.
func TestAStepThatFindsNothingToDoIsNoAction(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.When.States, c.rule.Steps, c.closed = endedStates, destroyAndTerm[:1], true
		c.leakClosed(0, 2)
		c.remedy(t)
		if c.last.acted {
			t.Error("to skip all sockets counts as an action")
		}
	})
}
