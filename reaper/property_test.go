package reaper

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// changing is a host on which a reaper runs while its rules, its clocks and the processes change at
// random. It knows what the rules in force allow at the time of each action.
type changing struct {
	*runningReaper
	t       *testing.T
	rng     *rand.Rand
	rules   *rules.Config // in force
	slept   time.Duration // by which the uptime of the host is ahead of the clock of the bubble
	started time.Time
	woke    time.Time                      // the host was suspended before, or no scan saw the sockets
	lines   map[closewait.ProcessID]string // command lines
	cookies uint64
	starts  uint64
	seen    int // records of the audit file that have been checked
	begun   []begunRemediation
	acted   int
}

// begunRemediation is a remediation that has spent some of the budget, as far as is known.
type begunRemediation struct {
	id string
	at time.Duration // uptime
}

const (
	changingLeaks, changingHealthy = 6, 8
	catalina, payments             = "catalina", "payments"
)

func (c *changing) one(n int) bool { return c.rng.IntN(n) == 0 }

func (c *changing) uptime() time.Duration { return time.Hour + time.Since(c.started) + c.slept }

// written returns rules as an administrator could write them next.
func (c *changing) written() *rules.Config {
	rule := func(name, line string, steps ...step.Step) rules.Rule {
		return rule(func(r *rules.Rule) {
			r.Name, r.Steps, r.Cooldown = name, steps, 30*time.Second
			r.Match.Command = regexp.MustCompile("^" + line + "$")
			r.When = condition.When{Sockets: 2, Age: 20 * time.Second, States: endedStates, FDs: condition.Threshold{Ratio: []float64{0, 0.05, 0.5}[c.rng.IntN(3)]}}
			if c.one(5) {
				r.Mode = rules.DryRun
			}
			if c.one(5) {
				r.Steps = r.Steps[:1]
			}
		})
	}
	signal := func(name string) step.Step {
		return step.Signal{Name: name, Wait: 30 * time.Second}
	}
	line := []string{catalina, ".*", payments}[c.rng.IntN(3)]
	list := []rules.Rule{rule("first", line, signal("TERM"), signal("KILL")), rule("second", ".*", step.Destroy{}, signal("INT"))}
	if c.one(6) {
		list = list[1:]
	}
	config := config(list...)
	config.Interval = 10 * time.Second
	config.Limits = rules.Limits{Actions: 1 + c.rng.IntN(4), Per: time.Duration(2+c.rng.IntN(5)) * time.Minute}
	if c.one(6) {
		config.Protect.Exe = []*regexp.Regexp{regexp.MustCompile(`^/usr/bin/server$`)}
	}
	return config
}

// start adds a process with sockets that were closed by their peers now.
func (c *changing) start(pid, held int) {
	c.starts++
	id := closewait.ProcessID{PID: pid, Start: c.starts}
	h := holder(id, sockets(held, c.cookies, time.Since(epoch)))
	h.Comm = fmt.Sprint("server", pid)
	c.cookies += uint64(held)
	c.lines[id] = []string{catalina, payments}[c.rng.IntN(2)]
	c.add(h)
}

// forget is what a restart does: no scan has seen any socket yet.
func (c *changing) forget() {
	c.woke = time.Now()
	for _, p := range c.processes {
		for _, s := range p.sockets {
			s.FirstSeen = c.woke
		}
	}
}

// verify checks an action. It is called when the action is taken, with the host locked.
func (c *changing) verify(action, ruleName string, index int) func(*fakeProcess) error {
	return func(p *fakeProcess) error {
		c.acted++
		if why := c.forbidden(p, ruleName, action, index); why != "" {
			c.t.Errorf("%s on process %v: %s", action, p.process.ID, why)
		}
		switch c.acted % 4 { // not at random: remediations run in parallel
		case 0:
			p.exit()
		case 1:
			p.close()
		}
		return nil
	}
}

// forbidden returns why the rules in force forbid an action on a process as it is now.
func (c *changing) forbidden(p *fakeProcess, ruleName, action string, index int) string {
	i := slices.IndexFunc(c.rules.Rules, func(r rules.Rule) bool { return r.Name == ruleName })
	if i < 0 {
		return "there is no such rule"
	}
	switch r := &c.rules.Rules[i]; {
	case r.Mode != rules.Enforce:
		return "the rule does not act"
	case index >= len(r.Steps) || !strings.HasPrefix(r.Steps[index].String(), action):
		return "the rule has no such step"
	case len(c.rules.Protect.Exe) > 0:
		return "it is protected"
	case !r.Match.Command.MatchString(c.lines[p.process.ID]):
		return "the rule does not match " + c.lines[p.process.ID]
	case p.halted:
		return "it cannot run"
	case float64(p.process.OpenFDs)-float64(p.closed) < r.When.FDs.Ratio*float64(p.process.MaxFDs):
		return "it has enough descriptors"
	case r.EndsProcess() && time.Since(c.woke) < r.When.Age:
		return "it was not seen for long enough"
	case len(p.sockets) < r.When.Sockets:
		return "it does not leak any more"
	}
	return ""
}

// change makes a random change, while the reaper waits for something.
func (c *changing) change(running bool) {
	c.fakeHost.mu.Lock()
	for i, p := range c.processes {
		if p.dead() || len(p.sockets) == 0 {
			c.processes = slices.Delete(c.processes, i, i+1)
			c.start(p.process.ID.PID, 2)
			break
		}
	}
	p := c.processes[c.rng.IntN(len(c.processes))]
	what := c.rng.IntN(10)
	switch what {
	case 0, 1:
		c.lines[p.process.ID] = []string{catalina, payments}[c.rng.IntN(2)]
	case 2:
		p.halted = !p.halted
	case 3:
		p.process.OpenFDs = []uint64{100, 900}[c.rng.IntN(2)]
	case 4:
		p.exit()
	case 5:
		c.slept += time.Hour // the host is suspended
		c.woke = time.Now()
	}
	c.fakeHost.mu.Unlock()
	if what < 6 {
		return
	}
	c.rules = c.written()
	if running {
		if err := c.Reload(func() (*rules.Config, error) { return c.rules, nil }); err != nil {
			c.t.Fatal(err)
		}
		synctest.Wait()
	}
}

// checkBudget compares the remediations that have begun since the last call with the limits of the
// rules in force. It must be called before each change of the rules or the clocks.
func (c *changing) checkBudget() {
	c.audit.mu.Lock()
	defer c.audit.mu.Unlock()
	for _, record := range c.audit.records[c.seen:] {
		switch record.Event {
		case "decision":
			if record.Mode != rules.Enforce.String() {
				continue
			}
			now := c.uptime() - time.Since(record.Time)
			c.begun = append(c.begun, begunRemediation{record.ID, now})
			recent := 0
			for _, b := range c.begun {
				if now-b.at < c.rules.Limits.Per {
					recent++
				}
			}
			if recent > c.rules.Limits.Actions {
				c.t.Errorf("%d remediations within %v, limits are %d", recent, c.rules.Limits.Per, c.rules.Limits.Actions)
			}
		case "end":
			if !slices.ContainsFunc(c.audit.records, func(r Record) bool { return r.ID == record.ID && r.Event == "step" }) {
				c.begun = slices.DeleteFunc(c.begun, func(b begunRemediation) bool { return b.id == record.ID })
			}
		}
	}
	c.seen = len(c.audit.records)
}

// stoppedBy finds the decisions that ended remediations in a log.
var stoppedBy = regexp.MustCompile(`msg="Remediation ended".* decision=(\w+)`)

// TestNoReloadClockOrRestartLetsAForbiddenStepHappen reloads the rules, sets clocks, suspends the
// host, kills the reaper and changes the processes, all at random and in any order.
func TestNoReloadClockOrRestartLetsAForbiddenStepHappen(t *testing.T) {
	const hosts, restarts, changes, least = 6, 20, 30, 80
	acted, ends := 0, map[string]int{}
	for seed := range uint64(hosts) {
		synctest.Test(t, func(t *testing.T) {
			c := &changing{runningReaper: newRunning(t), t: t, rng: rand.New(rand.NewPCG(seed, 11)), started: time.Now(), lines: map[closewait.ProcessID]string{}}
			for i := range changingLeaks + changingHealthy {
				held := 2
				if i >= changingLeaks {
					held = 1 // with more healthy processes the breaker does not trip
				}
				c.start(20+i, held)
			}
			c.on["signal TERM"], c.on["signal KILL"] = c.verify("signal TERM", "first", 0), c.verify("signal KILL", "first", 1)
			c.on["destroy"], c.on["signal INT"] = c.verify("destroy", "second", 0), c.verify("signal INT", "second", 1)
			c.options.Observe = func(ctx context.Context) (*closewait.View, error) {
				v, err := c.fakeHost.Observe(ctx)
				if err == nil {
					v.Uptime = c.uptime()
				}
				return v, err
			}
			c.options.Command = func(_ context.Context, p *closewait.Process) (string, error) {
				c.fakeHost.mu.Lock()
				defer c.fakeHost.mu.Unlock()
				return c.lines[p.ID], nil
			}
			c.options.StateFile.boot = func() (closewait.Boot, error) { return closewait.Boot{ID: "b00t", Uptime: c.uptime()}, nil }
			c.rules = c.written()
			for range restarts {
				disk := newFailingDisk(1<<30, errKilled)
				c.options.Config, c.options.StateFile.disk = c.rules, disk
				c.forget()
				c.run()
				for range c.rng.IntN(changes) {
					after(time.Duration(c.rng.IntN(int(20 * time.Second))))
					c.checkBudget()
					c.change(true)
				}
				switch c.rng.IntN(3) {
				case 0:
					disk.left.Store(c.rng.Int64N(6)) // it dies in the middle of a write
					after(20 * time.Second)
				case 1:
					disk.left.Store(0)
				}
				c.checkBudget()
				c.halt()
				c.checkBudget()
				jump := time.Duration(c.rng.IntN(int(time.Hour)))
				switch c.rng.IntN(4) {
				case 0: // the clock is set forward
					c.slept -= jump
					time.Sleep(jump)
				case 1: // the clock is set back: more time has passed than it shows
					c.slept += jump
				}
				c.change(false)
			}
			acted += c.acted
			for _, end := range stoppedBy.FindAllStringSubmatch(c.log.String(), -1) {
				ends[end[1]]++
			}
		})
	}
	t.Logf("%d actions, remediations that a decision has ended: %v", acted, ends)
	if acted < least || len(ends) < 7 {
		t.Errorf("only %d actions, ends %v: the test tries too little", acted, ends)
	}
}
