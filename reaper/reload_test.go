package reaper

import (
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/reaper/rules"
)

// TestAReloadStopsARemediation reloads the rules while a remediation waits after TERM. The process
// must not get KILL, and no dry run starts on it meanwhile.
func TestAReloadStopsARemediation(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*rules.Config)
		rule     string
		decision string
	}{
		"to dry run": {func(c *rules.Config) { c.Rules[0].Mode = rules.DryRun }, "rule=leak", "decision=dry_run"},
		"removed":    {func(c *rules.Config) { c.Rules[0].Name = "other" }, "rule=leak", "decision=superseded"},
		"protected": {func(c *rules.Config) {
			c.Protect.Exe = []*regexp.Regexp{regexp.MustCompile(`^/usr/bin/server$`)}
		}, "rule=leak", "decision=protected"},
		"without KILL": {func(c *rules.Config) { c.Rules[0].Steps = c.Rules[0].Steps[:1] }, "rule=leak", "decision=superseded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunning(t, rule())
				r.leak(alice)
				r.run()
				after(time.Minute)
				r.wantActions("signal TERM")
				again := config(rule())
				c.change(again)
				if err := r.Reload(func() (*rules.Config, error) { return again, nil }); err != nil {
					t.Fatal(err)
				}
				after(30 * time.Second)
				r.wantActions("signal TERM")
				r.wantMetric(1, "closewait_reaper_decisions_total", c.rule, c.decision)
				r.wantMetric(1, "closewait_reaper_remediations_total", c.rule, "result=aborted")
				r.wantMetric(0, "closewait_reaper_actions_total", c.rule, "mode=dry_run", "action=signal")
				r.halt()
			})
		})
	}
}

// TestAReloadHoldsBeforeTheNextRound: the loop has not applied the rules yet.
func TestAReloadHoldsBeforeTheNextRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule())
		r.Reaper = New(r.options) // its loop does not run
		again := config(rule(func(r *rules.Rule) { r.Name = "other" }))
		if err := r.Reload(func() (*rules.Config, error) { return again, nil }); err != nil {
			t.Fatal(err)
		}
		if now, _ := r.rulesInForce(); now.Rules()[0].Name != "other" {
			t.Errorf("rule %s is in force", now.Rules()[0].Name)
		}
		r.refresh(time.Now()) // of a round that still uses the rules before
		if now, _ := r.rulesInForce(); now.Rules()[0].Name != "other" {
			t.Errorf("rule %s is in force after a round", now.Rules()[0].Name)
		}
	})
}
