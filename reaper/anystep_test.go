package reaper

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

// TestWhateverHappensAtAnyStep makes an event happen during each step, or before the first one. No
// further step may follow.
func TestWhateverHappensAtAnyStep(t *testing.T) {
	events := map[string]struct {
		happens func(*remedying, *fakeProcess)
		before  string           // how it ends when it happens before the first step
		after   func(int) string // and after each one
	}{
		"the process ends by itself": {
			func(_ *remedying, p *fakeProcess) { p.exit() }, "aborted gone",
			func(step int) string {
				return []string{"recovered", "recovered", "recovered", "recovered", "terminated", "killed"}[step]
			},
		},
		"it closes its sockets": {
			func(_ *remedying, p *fakeProcess) { p.close() }, "aborted recovered", notAfterKill("recovered recovered"),
		},
		"it closes its sockets, and has enough descriptors again": {
			func(_ *remedying, p *fakeProcess) { p.close(); p.process.OpenFDs = 50 }, "aborted recovered", notAfterKill("recovered recovered"),
		},
		"the reaper ends": {
			func(c *remedying, _ *fakeProcess) { c.cancel() }, "aborted", func(int) string { return "aborted" },
		},
		"it is stopped": {
			func(_ *remedying, p *fakeProcess) { p.process.State = 'T' }, "aborted stopped", notAfterKill("aborted stopped"),
		},
		"it is frozen": {
			func(_ *remedying, p *fakeProcess) { p.halted = true }, "aborted stopped", notAfterKill("aborted stopped"),
		},
		"it becomes another program": {
			func(_ *remedying, p *fakeProcess) { p.process.Exe = "/opt/other" }, "aborted gone", notAfterKill("aborted gone"),
		},
		"it becomes a protected program": {
			func(_ *remedying, p *fakeProcess) { p.process.Exe = "/usr/sbin/sshd" }, "aborted protected", notAfterKill("aborted protected"),
		},
		"it moves to another group": {
			func(_ *remedying, p *fakeProcess) { p.process.Unit = "other.service" }, "aborted gone", notAfterKill("aborted gone"),
		},
		"it executes itself with other arguments": {
			func(c *remedying, _ *fakeProcess) { c.arguments = "payments" }, "aborted gone", notAfterKill("aborted gone"),
		},
		"it closes other descriptors": {
			func(_ *remedying, p *fakeProcess) { p.process.OpenFDs = 50 }, "aborted enough_fds", notAfterKill("aborted enough_fds"),
		},
		"a reload removes the rule": {
			func(c *remedying, _ *fakeProcess) { c.reload(func(r *rules.Rule) { r.Name = "other" }) }, "aborted superseded", notAfterKill("aborted superseded"),
		},
		"a reload sets the rule to dry run": {
			func(c *remedying, _ *fakeProcess) { c.reload(func(r *rules.Rule) { r.Mode = rules.DryRun }) }, "aborted dry_run", notAfterKill("aborted dry_run"),
		},
		"a reload protects the program": {
			func(c *remedying, _ *fakeProcess) {
				again := config(c.rule)
				again.Protect.Exe = []*regexp.Regexp{regexp.MustCompile(`^/usr/bin/server$`)}
				c.reloaded = policy.New(again, policy.Options{Enforce: true})
			}, "aborted protected", notAfterKill("aborted protected"),
		},
		"a reload changes the match": {
			func(c *remedying, _ *fakeProcess) {
				c.reload(func(r *rules.Rule) { r.Match.Exe = regexp.MustCompile(`^/opt/.*$`) })
			}, "aborted superseded", notAfterKill("aborted superseded"),
		},
		"a reload raises sockets": {
			func(c *remedying, _ *fakeProcess) { c.reload(func(r *rules.Rule) { r.When.Sockets = 50 }) }, "aborted pending", notAfterKill("aborted pending"),
		},
		"its sockets move again": {
			func(_ *remedying, p *fakeProcess) {
				for i, s := range p.sockets {
					moved := *s
					moved.QuietSince = time.Time{}
					p.sockets[i] = &moved
				}
			}, "aborted pending", unlessCut("aborted pending"),
		},
		"somebody else gets its sockets": {
			func(c *remedying, p *fakeProcess) {
				c.add(&closewait.Holder{Process: closewait.Process{ID: bob, Exe: "/opt/other"}, Ended: closewait.NewHolding(slices.Clone(p.sockets))})
			}, "aborted pending", unlessCut("aborted pending"),
		},
		"a namespace cannot be read any more": {
			func(c *remedying, _ *fakeProcess) { c.unread = 1 }, "aborted incomplete_scan", notAfterKill("aborted incomplete_scan"),
		},
		"the host cannot be scanned any more": {
			func(c *remedying, _ *fakeProcess) { c.scanErr = errors.New("no /proc") }, "aborted incomplete_scan", notAfterKill("aborted incomplete_scan"),
		},
		"some process hides": {
			func(c *remedying, _ *fakeProcess) { c.hidden = true }, "aborted incomplete_scan", notAfterKill("aborted incomplete_scan"),
		},
		"the audit file is full": {
			func(c *remedying, _ *fakeProcess) { c.audit.room = 0 }, "aborted audit_failed", notAfterKill("aborted audit_failed"),
		},
	}
	for name, e := range events {
		for step := range allSteps {
			t.Run(fmt.Sprintf("%s at %s", name, allActions[step]), func(t *testing.T) {
				inBubble(t, func(t *testing.T, c *remedying) {
					c.leakByCommand(alice)
					c.on[allActions[step]] = func(p *fakeProcess) error { e.happens(c, p); return nil }
					c.wants(t, e.after(step), step+1)
				})
			})
		}
		t.Run(name+" before the first step", func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *remedying) {
				c.leakByCommand(alice)
				scans := 0
				c.onScan = func() {
					if scans++; scans == 3 { // after two rounds
						e.happens(c, c.processes[0])
					}
				}
				if name == "the audit file is full" {
					c.audit.room = 0
				}
				c.wants(t, e.before, 0)
			})
		})
	}
}

// leakByCommand is leakFor with a rule that asks for descriptors and the command line too.
func (c *remedying) leakByCommand(ids ...closewait.ProcessID) {
	c.arguments = "catalina"
	c.rule.When.FDs = condition.Threshold{Count: 80}
	c.rule.Match.Command = regexp.MustCompile(`^catalina$`)
	c.leakFor(ids...)
}

// reload puts the rule in force with a change.
func (c *remedying) reload(change func(*rules.Rule)) {
	again := c.rule
	change(&again)
	c.reloaded = newPolicy(again)
}

// TestAReloadThatChangesNothingForTheProcessStopsNothing has rules that allow the same steps.
func TestAReloadThatChangesNothingForTheProcessStopsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.leakFor(alice)
		c.on["raise_nofile"] = func(*fakeProcess) error { c.reload(func(r *rules.Rule) { r.Cooldown = time.Hour }); return nil }
		c.wants(t, "unkillable", len(allActions))
	})
}

// TestAHigherLimitOfDescriptorsIsNoCure: the rule asks for a share of the limit, which a step
// raises.
func TestAHigherLimitOfDescriptorsIsNoCure(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.When.FDs = condition.Threshold{Ratio: 0.1}
		c.leakFor(alice)
		c.on["raise_nofile"] = func(p *fakeProcess) error { p.process.MaxFDs = 1 << 20; return nil }
		c.wants(t, "unkillable", len(allActions))
	})
}

// notAfterKill returns the end after any step but KILL, after which only the end of the process
// counts.
func notAfterKill(want string) func(int) string {
	return func(step int) string {
		if step == len(allSteps)-1 {
			return "unkillable"
		}
		return want
	}
}

// unlessCut returns the end as long as the connections are not cut. After that only the descriptors
// count.
func unlessCut(want string) func(int) string {
	return func(step int) string {
		if step >= slices.Index(allActions, "destroy") {
			return "goes on"
		}
		return want
	}
}

func (c *remedying) wants(t *testing.T, want string, actions int) {
	t.Helper()
	o := c.remedy(t)
	got := strings.TrimSpace(fmt.Sprint(o.Result, " ", o.label))
	if want == "goes on" {
		want, actions = "unkillable", len(allActions)
	}
	if got != want || len(c.actions) != actions {
		t.Errorf("%s (%s) after %q, want %s after %d actions", got, o.reason, c.actions, want, actions)
	}
}
