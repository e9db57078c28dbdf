package policy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// chaos is a host on which random events happen. It checks all decisions about the host.
type chaos struct {
	t      *testing.T
	rng    *rand.Rand
	policy *Policy
	state  State
	trial  *Policy // the same rules in dry run
	dry    State
	now    time.Duration
	cookie uint64
	alive  map[closewait.ProcessID]*closewait.Holder
	runs   []Decision
	jump   time.Duration // of the wall clock, by which it differs from the uptime
	done   []doneAction
	events int
	acted  int
}

const (
	chaosProcesses, chaosSockets = 8, 4
	chaosGroups                  = 3 * 4 * 2 // rules, names of processes, users
)

func chaosConfig(rng *rand.Rand) *rules.Config {
	c := &rules.Config{Interval: 10 * time.Second, Limits: chaosLimits(rng)}
	closed := rng.IntN(2) == 0
	for i := range 3 {
		c.Rules = append(c.Rules, rule(func(r *rules.Rule) {
			r.Name = fmt.Sprint("rule", i)
			r.Match = rules.Match{Exe: regexp.MustCompile([]string{`/usr/.*`, `.*/a`, `.*`}[i])}
			r.When = condition.When{Sockets: 1 + rng.IntN(2), Age: time.Duration(rng.IntN(30)) * time.Second, For: time.Duration(rng.IntN(20)) * time.Second}
			r.Cooldown = time.Duration(rng.IntN(120)) * time.Second
			r.When.States = closewait.NewStateSet(closewait.CloseWait)
			if closed && rng.IntN(2) == 0 {
				r.When.States = closewait.NewStateSet(closewait.EndedStates...)
			}
			if rng.IntN(4) == 0 {
				r.When.Window = condition.Window{From: time.Duration(rng.IntN(24)) * time.Hour, To: time.Duration(rng.IntN(24)) * time.Hour, Zone: time.UTC}
			}
			if i == 2 {
				r.Steps = []step.Step{step.Destroy{}}
			}
		}))
	}
	return c
}

// live makes a few random changes to the host.
func (c *chaos) live() {
	for range 1 + c.rng.IntN(3) {
		c.events++
		id := closewait.ProcessID{PID: 10 + c.rng.IntN(chaosProcesses), Start: uint64(c.rng.IntN(3))}
		switch c.rng.IntN(10) {
		case 0:
			delete(c.alive, id)
		case 8, 9:
			c.reset()
		case 1:
			c.share()
		case 2:
			if h := c.alive[id]; h != nil {
				again := *h
				again.State = "SSSTtD"[c.rng.IntN(6)]
				c.alive[id] = &again
			}
		default:
			c.leak(id)
		}
	}
}

func (c *chaos) leak(id closewait.ProcessID) {
	var held []*closewait.Socket
	if h := c.alive[id]; h != nil {
		held = slices.Clone(h.Ended.Sockets)
	}
	for range c.rng.IntN(3) {
		c.cookie++
		held = append(held, socket(c.cookie, c.wall()-time.Duration(c.rng.IntN(60))*time.Second, firstSeen(c.wall()), openedByUser([]uint32{0, 0, 7, 8}[c.rng.IntN(4)])))
	}
	held = held[max(0, len(held)-chaosSockets):]
	for start := range uint64(3) {
		delete(c.alive, closewait.ProcessID{PID: id.PID, Start: start}) // pids are reused
	}
	c.alive[id] = holder(id, held, func(p *closewait.Process) {
		p.Exe = []string{"/usr/a", "/usr/b", "/opt/a", "/usr/sbin/sshd", ""}[id.PID%5]
		p.Comm = fmt.Sprint("server", id.PID%4)
		p.UID = []uint32{0, 7, 7}[id.PID%3]
	})
}

// share gives the sockets of one process to another one too, as fork does.
func (c *chaos) share() {
	ids := c.ids()
	if len(ids) < 2 {
		return
	}
	a, b := c.alive[ids[c.rng.IntN(len(ids))]], c.alive[ids[c.rng.IntN(len(ids))]]
	if a.ID == b.ID || a.Ended.Len() == 0 {
		return
	}
	s := *a.Ended.Sockets[c.rng.IntN(a.Ended.Len())]
	if slices.Contains(s.Holders, b.ID) || b.Ended.Len() == chaosSockets {
		return
	}
	s.Holders = append(slices.Clone(s.Holders), b.ID)
	for _, id := range s.Holders {
		if h := c.alive[id]; h != nil {
			held := slices.DeleteFunc(slices.Clone(h.Ended.Sockets), func(other *closewait.Socket) bool { return other.ID == s.ID })
			again := *h
			again.Ended = closewait.NewHolding(append(held, &s))
			c.alive[id] = &again
		}
	}
}

func (c *chaos) ids() []closewait.ProcessID {
	var ids []closewait.ProcessID
	for id := range c.alive {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b closewait.ProcessID) int { return (a.PID-b.PID)*10 + int(a.Start) - int(b.Start) })
	return ids
}

func (c *chaos) observe() *closewait.View {
	v := view(c.wall())
	for _, id := range c.ids() {
		v.Holders = append(v.Holders, c.alive[id])
	}
	if c.rng.IntN(20) == 0 {
		v.UnreadableNamespaces = 1
	}
	return v
}

// event lets time pass and one random event happen.
func (c *chaos) event() {
	c.events++
	c.now += time.Duration(c.rng.IntN(int(12 * time.Second)))
	switch c.rng.IntN(40) {
	case 0:
		c.now += time.Minute // a gap
	case 1:
		c.reload()
	case 2:
		c.restart()
	case 3, 4, 5, 6, 7, 8, 9:
		c.end()
	default:
		c.live()
		c.round()
	}
}

func (c *chaos) end() {
	if len(c.runs) == 0 {
		return
	}
	i := c.rng.IntN(len(c.runs))
	e := RunResult{ID: c.runs[i].ID(), Mode: rules.Enforce, At: epoch.Add(c.wall()), NoAction: c.rng.IntN(3) == 0}
	e.Unkillable = !e.NoAction && c.rng.IntN(9) == 0
	if e.NoAction {
		c.done = slices.DeleteFunc(c.done, func(a doneAction) bool { return a.run == e.ID })
	}
	c.state = c.state.Ended(e)
	e.Mode = rules.DryRun
	c.dry = c.dry.Ended(e)
	c.runs = slices.Delete(c.runs, i, i+1)
}

func (c *chaos) round() {
	v := c.observe()
	decisions, next := c.policy.Decide(v, c.state)
	if c.rng.IntN(8) == 0 {
		if again, _ := c.policy.Decide(v, c.state); !alike(again, decisions) {
			c.t.Fatalf("the same View and State lead to\n%s\nand then to\n%s", describe(decisions), describe(again))
		}
	}
	c.checkClosed(v, decisions)
	var dry []Decision
	if dry, c.dry = c.trial.Decide(v, c.dry); !alike(dry, decisions) {
		c.t.Fatalf("dry run decides\n%s\nenforce decides\n%s", describe(dry), describe(decisions))
	}
	c.state = next
	acted := c.acted
	for _, d := range decisions {
		if d.Acts() {
			c.check(&d)
		}
	}
	if c.acted > acted {
		c.checkLimits()
	}
	c.checkSize(&c.state, rules.Enforce)
	c.checkSize(&c.dry, rules.DryRun)
}

// alike reports whether the decisions are the same, in any mode.
func alike(a, b []Decision) bool {
	return slices.EqualFunc(a, b, func(a, b Decision) bool {
		same := a.Label == b.Label || a.Acts() && b.Acts()
		return same && a.Rule.Name == b.Rule.Name && a.Process == b.Process && slices.Equal(a.With, b.With) && slices.Equal(a.Evidence, b.Evidence)
	})
}

// check checks one decision to act.
func (c *chaos) check(d *Decision) {
	for _, p := range d.TargetProcesses() {
		if c.policy.protection(p) != "" || !condition.Running(p) {
			c.t.Fatalf("%s acts on process %d, which is protected or stopped", d.ID(), p.ID.PID)
		}
		for i := range c.runs {
			for _, other := range c.runs[i].TargetProcesses() {
				if other.ID == p.ID || c.runs[i].limitGroups[0] == d.limitGroups[0] {
					c.t.Fatalf("%s and %s are at the same time on process %d, group %s", d.ID(), c.runs[i].ID(), p.ID.PID, d.limitGroups[0])
				}
			}
		}
		c.done = append(c.done, doneAction{c.now, d.ID()})
	}
	if d.Rule.EndsProcess() && !d.Rule.When.Window.Contains(epoch.Add(c.wall())) {
		c.t.Fatalf("%s acts outside of the window of its rule", d.ID())
	}
	if !d.Rule.When.States.Has(closewait.Closed) && slices.ContainsFunc(d.Evidence, func(s *closewait.Socket) bool { return s.State == closewait.Closed }) {
		c.t.Fatalf("%s has a closed socket for evidence", d.ID())
	}
	if len(d.Evidence) < d.Rule.When.Sockets {
		c.t.Fatalf("%s acts on %d sockets", d.ID(), len(d.Evidence))
	}
	for _, s := range d.Evidence {
		if s.Age(d.Taken) < d.Rule.When.Age || !s.FirstSeen.Before(d.Taken) {
			c.t.Fatalf("%s has a young socket for evidence", d.ID())
		}
		if d.Rule.EndsProcess() && d.Taken.Sub(s.FirstSeen) < d.Rule.When.Age {
			c.t.Fatalf("%s has a socket for evidence that was not observed for long enough", d.ID())
		}
		for _, p := range d.TargetProcesses() {
			if slices.Contains(s.Holders, p.ID) && s.UID != p.UID && s.UID != 0 {
				c.t.Fatalf("%s ends process %d for a socket that another user has opened", d.ID(), p.ID.PID)
			}
		}
	}
	c.runs = append(c.runs, *d)
	c.acted++
}

func (c *chaos) checkSize(s *State, mode rules.Mode) {
	l := &s.limiters[mode]
	if len(s.byID) > chaosProcesses || len(l.runs) != len(c.runs) || len(l.unkillable) > 3*chaosProcesses || len(l.cooldowns) > chaosGroups || len(l.actions) > actionsMax ||
		len(l.retries) > 3*chaosProcesses || len(l.due) > chaosGroups || len(l.suspended) > 3 {
		c.t.Fatalf("the State has grown: %d processes, %d runs, %d unkillable, %d cooldowns, %d actions, %d retries, %d due, %d suspended",
			len(s.byID), len(l.runs), len(l.unkillable), len(l.cooldowns), len(l.actions), len(l.retries), len(l.due), len(l.suspended))
	}
}

// TestWhateverHappensTheLimitsHold checks every decision on hosts with random events. Faults of
// budget, evidence and restarts that were put into the code on trial were found on one of the first
// four hosts. CLOSEWAIT_LONG=1 simulates more.
func TestWhateverHappensTheLimitsHold(t *testing.T) {
	const turns, leastPerHost = 2200, 4000
	hosts := 8
	if os.Getenv("CLOSEWAIT_LONG") != "" {
		hosts = 100
	}
	events, acted, least := 0, 0, hosts*leastPerHost
	for seed := range uint64(hosts) {
		c := &chaos{t: t, rng: rand.New(rand.NewPCG(seed, 1)), alive: map[closewait.ProcessID]*closewait.Holder{}}
		config := chaosConfig(c.rng)
		c.policy, c.trial = New(config, Options{Enforce: true}), New(config, Options{})
		for range turns {
			c.event()
		}
		events, acted = events+c.events, acted+c.acted
	}
	if events < least || acted < least/1000 {
		t.Errorf("only %d events and %d remediations: the test tries too little", events, acted)
	}
}
