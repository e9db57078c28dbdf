package reaper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

// allSteps is a ladder with one of each.
var allSteps = []Step{
	{Kind: StepRaiseNoFile, Raise: NoFile{Hard: true}},
	{Kind: StepRun, Command: []string{"/bin/guard"}, Timeout: time.Minute},
	{Kind: StepDestroy},
	{Kind: StepThreadDump},
	{Kind: StepSignal, Signal: "TERM", Wait: 10 * time.Second},
	{Kind: StepSignal, Signal: "KILL", Wait: 5 * time.Second},
}

var allDeeds = []string{"raise_nofile", "run /bin/guard", "destroy", "thread_dump", "signal TERM", "signal KILL"}

// climbing is a ladder on a fake host, in a bubble.
type climbing struct {
	*fakeHost
	rule    Rule
	journal *ledger
	hands   Hands // nil: those of the host
	metrics *Metrics
	ctx     context.Context
	cancel  func()
}

// leakFor makes processes leak two sockets each for an hour, and two more that they share.
func (c *climbing) leakFor(ids ...closewait.ProcessID) {
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

// climb decides, and carries the decision out.
func (c *climbing) climb(t *testing.T) outcome {
	t.Helper()
	p := policy(c.rule)
	first, err := c.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, s := p.Decide(first, State{})
	time.Sleep(time.Minute)
	second, _ := c.Observe(t.Context())
	decisions, s := p.Decide(second, s)
	if !decisions[0].Acts() {
		t.Fatalf("nothing is to be done: %s", describe(decisions))
	}
	if c.hands == nil {
		c.hands = c.fakeHost
	}
	l := &ladder{
		Decision: &decisions[0], policy: p, state: s, hands: c.hands, observe: c.Observe, journal: c.journal, metrics: c.metrics, diary: &diary{}, logger: log.NewNopLogger(),
	}
	o := l.climb(c.ctx)
	for _, p := range c.processes {
		if n := p.grips.Load(); n != 0 {
			t.Errorf("process %d is held on to %d times after the end", p.process.ID.PID, n)
		}
	}
	return o
}

func inBubble(t *testing.T, f func(t *testing.T, c *climbing)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f(t, &climbing{
			fakeHost: &fakeHost{on: map[string]func(*fakeProcess) error{}}, rule: rule(func(r *Rule) { r.Steps = allSteps }),
			journal: &ledger{room: -1}, metrics: NewMetrics(), ctx: ctx, cancel: cancel,
		})
	})
}

func exits(p *fakeProcess) error { p.exit(); return nil }

func closes(p *fakeProcess) error { p.close(); return nil }

func TestTheEndOfALadder(t *testing.T) {
	scenarios := map[string]struct {
		on     map[string]func(*fakeProcess) error
		result Result
		label  Label
		deeds  int // that were done
		freed  uint64
	}{
		"TERM is honoured":              {map[string]func(*fakeProcess) error{"signal TERM": exits}, Terminated, unlabelled, 5, 100},
		"only KILL is":                  {map[string]func(*fakeProcess) error{"signal KILL": exits}, Killed, unlabelled, 6, 100},
		"not even KILL is":              {nil, Unkillable, unlabelled, 6, 0},
		"the guard denies":              {map[string]func(*fakeProcess) error{"run /bin/guard": fails(closewait.ErrGuardDenied)}, Aborted, LabelGuardDenied, 2, 0},
		"the guard fails":               {map[string]func(*fakeProcess) error{"run /bin/guard": fails(closewait.ErrGuardFailed)}, Aborted, LabelGuardFailed, 2, 0},
		"the guard cannot be asked":     {map[string]func(*fakeProcess) error{"run /bin/guard": fails(errors.New("no memory"))}, Aborted, LabelGuardFailed, 2, 0},
		"it is no JVM":                  {map[string]func(*fakeProcess) error{"thread_dump": fails(errors.New("not a JVM"))}, Aborted, unlabelled, 4, 0},
		"a step is not permitted":       {map[string]func(*fakeProcess) error{"raise_nofile": fails(errors.New("EPERM"))}, Aborted, unlabelled, 1, 0},
		"the reset wakes the program":   {map[string]func(*fakeProcess) error{"destroy": closes}, Recovered, LabelRecovered, 3, 2},
		"TERM makes it close and go on": {map[string]func(*fakeProcess) error{"signal TERM": closes}, Recovered, LabelRecovered, 5, 2},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *climbing) {
				c.leakFor(alice)
				c.on = s.on
				o := c.climb(t)
				if o.Result != s.result || o.label != s.label || o.fds != s.freed {
					t.Errorf("%s, %q, %d descriptors free (%s), want %s, %q, %d", o.Result, o.label, o.fds, o.reason, s.result, s.label, s.freed)
				}
				if diff := cmp.Diff(allDeeds[:s.deeds], c.deeds); diff != "" {
					t.Errorf("-want +done:\n%s", diff)
				}
			})
		})
	}
}

func fails(err error) func(*fakeProcess) error { return func(*fakeProcess) error { return err } }

// TestWhateverHappensAtAnyStep lets something happen while the nth step is carried out, or before the
// first one: nothing more may be done then.
func TestWhateverHappensAtAnyStep(t *testing.T) {
	events := map[string]struct {
		happens func(*climbing, *fakeProcess)
		before  string           // how it ends when it happens before the first step
		after   func(int) string // and after each one
	}{
		"the process ends by itself": {
			func(_ *climbing, p *fakeProcess) { p.exit() }, "aborted gone",
			func(step int) string {
				return []string{"recovered", "recovered", "recovered", "recovered", "terminated", "killed"}[step]
			},
		},
		"it closes its sockets": {
			func(_ *climbing, p *fakeProcess) { p.close() }, "aborted recovered", notAfterKill("recovered recovered"),
		},
		"the reaper ends": {
			func(c *climbing, _ *fakeProcess) { c.cancel() }, "aborted", func(int) string { return "aborted" },
		},
		"it is stopped": {
			func(_ *climbing, p *fakeProcess) { p.process.State = 'T' }, "aborted stopped", notAfterKill("aborted stopped"),
		},
		"it is frozen": {
			func(_ *climbing, p *fakeProcess) { p.halted = true }, "aborted stopped", notAfterKill("aborted stopped"),
		},
		"it becomes another program": {
			func(_ *climbing, p *fakeProcess) { p.process.Exe = "/opt/other" }, "aborted gone", notAfterKill("aborted gone"),
		},
		"it becomes a protected program": {
			func(_ *climbing, p *fakeProcess) { p.process.Exe = "/usr/sbin/sshd" }, "aborted protected", notAfterKill("aborted protected"),
		},
		"it moves to another group": {
			func(_ *climbing, p *fakeProcess) { p.process.Unit = "other.service" }, "aborted gone", notAfterKill("aborted gone"),
		},
		"its sockets move again": {
			func(_ *climbing, p *fakeProcess) {
				for i, s := range p.sockets {
					moved := *s
					moved.QuietSince = time.Time{}
					p.sockets[i] = &moved
				}
			}, "aborted pending", unlessCut("aborted pending"),
		},
		"somebody else gets its sockets": {
			func(c *climbing, p *fakeProcess) {
				c.add(&closewait.Holder{Process: closewait.Process{ID: bob, Exe: "/opt/other"}, Held: closewait.NewHolding(slices.Clone(p.sockets))})
			}, "aborted pending", unlessCut("aborted pending"),
		},
		"a namespace cannot be read any more": {
			func(c *climbing, _ *fakeProcess) { c.unread = 1 }, "aborted incomplete_scan", notAfterKill("aborted incomplete_scan"),
		},
		"the host cannot be looked at any more": {
			func(c *climbing, _ *fakeProcess) { c.blind = errors.New("no /proc") }, "aborted incomplete_scan", notAfterKill("aborted incomplete_scan"),
		},
		"some process hides": {
			func(c *climbing, _ *fakeProcess) { c.hidden = true }, "aborted incomplete_scan", notAfterKill("aborted incomplete_scan"),
		},
		"the audit file is full": {
			func(c *climbing, _ *fakeProcess) { c.journal.room = 0 }, "aborted audit_failed", notAfterKill("aborted audit_failed"),
		},
	}
	for name, e := range events {
		for step := range allSteps {
			t.Run(fmt.Sprintf("%s at %s", name, allDeeds[step]), func(t *testing.T) {
				inBubble(t, func(t *testing.T, c *climbing) {
					c.leakFor(alice)
					c.on[allDeeds[step]] = func(p *fakeProcess) error { e.happens(c, p); return nil }
					c.wants(t, e.after(step), step+1)
				})
			})
		}
		t.Run(name+" before the first step", func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *climbing) {
				c.leakFor(alice)
				looks := 0
				c.onLook = func() {
					if looks++; looks == 3 { // after two rounds
						e.happens(c, c.processes[0])
					}
				}
				if name == "the audit file is full" {
					c.journal.room = 0
				}
				c.wants(t, e.before, 0)
			})
		})
	}
}

// notAfterKill is how it ends, but after KILL all that counts is whether the process ends.
func notAfterKill(want string) func(int) string {
	return func(step int) string {
		if step == len(allSteps)-1 {
			return "unkillable"
		}
		return want
	}
}

// unlessCut is how it ends as long as the connections are not cut: then only the descriptors count.
func unlessCut(want string) func(int) string {
	return func(step int) string {
		if step >= slices.Index(allDeeds, "destroy") {
			return "goes on"
		}
		return want
	}
}

func (c *climbing) wants(t *testing.T, want string, deeds int) {
	t.Helper()
	o := c.climb(t)
	got := strings.TrimSpace(fmt.Sprint(o.Result, " ", o.label))
	if want == "goes on" {
		want, deeds = "unkillable", len(allDeeds)
	}
	if got != want || len(c.deeds) != deeds {
		t.Errorf("%s (%s) after %q, want %s after %d deeds", got, o.reason, c.deeds, want, deeds)
	}
}
