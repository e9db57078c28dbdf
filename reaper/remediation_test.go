package reaper

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
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
	last      *remediation // that was carried out
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
		Decision: &decisions[0], policy: p, gate: gate{Decision: &decisions[0], inForce: c.inForce(p, s)}, inForce: c.inForce(p, s), command: c.command, executor: c.executor, observe: c.Observe, audit: c.audit, metrics: c.metrics, history: &history{}, logger: log.NewNopLogger(),
	}
	c.last = r
	o := r.run(c.ctx)
	for _, p := range c.processes {
		if n := p.handles.Load(); n != 0 {
			t.Errorf("process %d has %d open handles after the end", p.process.ID.PID, n)
		}
	}
	return o
}

// inForce returns the rules of the decision until a test replaces them.
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
