package reaper

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// allSteps has a step of each kind.
var allSteps = []step.Step{
	step.RaiseNoFile{Hard: true},
	step.Run{Command: []string{"/bin/guard"}, Timeout: time.Minute},
	step.Destroy{},
	step.ThreadDump{},
	step.Signal{Name: "TERM", Wait: 10 * time.Second},
	step.Signal{Name: "KILL", Wait: 5 * time.Second},
}

var allActions = []string{"raise_nofile", "run /bin/guard", "destroy", "thread_dump", "signal TERM", "signal KILL"}

// remedying is a remediation on a fake host, in a bubble.
type remedying struct {
	*fakeHost
	rule      rules.Rule
	audit     *memoryLog
	executor  step.Executor // nil: the host
	metrics   *metrics
	reloaded  *policy.Policy // nil: the rules of the decision
	arguments string         // the command line of every process
	ctx       context.Context
	cancel    func()
}

// leakFor makes processes leak two sockets each for an hour, and two more that they share.
func (c *remedying) leakFor(ids ...closewait.ProcessID) {
	now := time.Since(epoch)
	var shared []*closewait.Socket
	if len(ids) > 1 {
		shared = sockets(2, 900, now-time.Hour, sharedBy(ids...))
	}
	for _, id := range ids {
		held := append(sockets(2, uint64(100*id.PID), now-time.Hour), shared...)
		c.add(holder(id, held, unit("web.service")))
	}
}

// remedy decides, and carries the decision out.
func (c *remedying) remedy(t *testing.T) outcome {
	t.Helper()
	p := newPolicy(c.rule)
	first, err := c.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := policy.State{}
	for _, p := range c.processes {
		s = s.Learn([]policy.Command{{ID: p.process.ID, Exe: p.process.Exe, Line: c.arguments}})
	}
	_, s = p.Decide(first, s)
	time.Sleep(time.Minute)
	second, _ := c.Observe(t.Context())
	decisions, s := p.Decide(second, s)
	if !decisions[0].Acts() {
		t.Fatalf("no decision to act: %s: %s", decisions[0].Label, decisions[0].Reason())
	}
	if c.executor == nil {
		c.executor = c.fakeHost
	}
	r := &remediation{
		Decision: &decisions[0], policy: p, inForce: c.inForce(p, s), command: c.command, executor: c.executor, observe: c.Observe, audit: c.audit, metrics: c.metrics, history: &history{}, logger: log.NewNopLogger(),
	}
	o := r.run(c.ctx)
	for _, p := range c.processes {
		if n := p.handles.Load(); n != 0 {
			t.Errorf("process %d has %d open handles after the end", p.process.ID.PID, n)
		}
	}
	return o
}

// inForce returns the rules in force: those of the decision until a test replaces them.
func (c *remedying) inForce(p *policy.Policy, s policy.State) func() (*policy.Policy, policy.State) {
	return func() (*policy.Policy, policy.State) {
		if c.reloaded != nil {
			return c.reloaded, s
		}
		return p, s
	}
}

func (c *remedying) command(context.Context, *closewait.Process) (string, error) {
	return c.arguments, nil
}

func inBubble(t *testing.T, f func(t *testing.T, c *remedying)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f(t, &remedying{
			fakeHost: &fakeHost{on: map[string]func(*fakeProcess) error{}}, rule: rule(func(r *rules.Rule) { r.Steps = allSteps }),
			audit: &memoryLog{room: -1}, metrics: newMetrics(), ctx: ctx, cancel: cancel,
		})
	})
}

func exits(p *fakeProcess) error { p.exit(); return nil }

func closes(p *fakeProcess) error { p.close(); return nil }

func TestTheEndOfARemediation(t *testing.T) {
	scenarios := map[string]struct {
		on      map[string]func(*fakeProcess) error
		result  Result
		label   policy.Label
		actions int // number of actions done
		freed   uint64
	}{
		"TERM is honoured":              {map[string]func(*fakeProcess) error{"signal TERM": exits}, terminated, "", 5, 100},
		"only KILL is":                  {map[string]func(*fakeProcess) error{"signal KILL": exits}, killed, "", 6, 100},
		"not even KILL is":              {nil, unkillable, "", 6, 0},
		"the guard denies":              {map[string]func(*fakeProcess) error{"run /bin/guard": fails(closewait.ErrGuardDenied)}, aborted, policy.LabelGuardDenied, 2, 0},
		"the guard fails":               {map[string]func(*fakeProcess) error{"run /bin/guard": fails(closewait.ErrGuardFailed)}, aborted, policy.LabelGuardFailed, 2, 0},
		"the guard cannot be asked":     {map[string]func(*fakeProcess) error{"run /bin/guard": fails(errors.New("no memory"))}, aborted, policy.LabelGuardFailed, 2, 0},
		"it is no JVM":                  {map[string]func(*fakeProcess) error{"thread_dump": fails(errors.New("not a JVM"))}, aborted, "", 4, 0},
		"a step is not permitted":       {map[string]func(*fakeProcess) error{"raise_nofile": fails(errors.New("EPERM"))}, aborted, "", 1, 0},
		"the reset wakes the program":   {map[string]func(*fakeProcess) error{"destroy": closes}, recovered, policy.LabelRecovered, 3, 2},
		"TERM makes it close and go on": {map[string]func(*fakeProcess) error{"signal TERM": closes}, recovered, policy.LabelRecovered, 5, 2},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *remedying) {
				c.leakFor(alice)
				c.on = s.on
				o := c.remedy(t)
				if o.Result != s.result || o.label != s.label || o.fds != s.freed {
					t.Errorf("%s, %q, %d descriptors free (%s), want %s, %q, %d", o.Result, o.label, o.fds, o.reason, s.result, s.label, s.freed)
				}
				if diff := cmp.Diff(allActions[:s.actions], c.actions); diff != "" {
					t.Errorf("-want +done:\n%s", diff)
				}
			})
		})
	}
}

func fails(err error) func(*fakeProcess) error { return func(*fakeProcess) error { return err } }

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
				c.add(&closewait.Holder{Process: closewait.Process{ID: bob, Exe: "/opt/other"}, Held: closewait.NewHolding(slices.Clone(p.sockets))})
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

// TestAHigherLimitOfDescriptorsIsNoCure: the rule asks for a share of the limit, which a step raises.
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
