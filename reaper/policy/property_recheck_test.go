package policy

import (
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// TestNoStepThatTheRulesInForceForbid reloads the rules, changes the process and lets time pass,
// all at random, between the steps of a remediation. Each step that Recheck allows is compared with
// the rules in force and with the process, as this test knows them.
func TestNoStepThatTheRulesInForceForbid(t *testing.T) {
	allowed, refused := 0, map[Label]int{}
	for seed := range uint64(4000) {
		rng := rand.New(rand.NewPCG(seed, 7))
		one := func(n int) bool { return rng.IntN(n) == 0 }
		steps := []step.Step{step.Destroy{}, step.Signal{Name: "TERM", Wait: time.Second}, step.Signal{Name: "KILL", Wait: time.Second}}
		written := func() *rules.Config {
			r := rule(func(r *rules.Rule) {
				r.Steps, r.When.FDs, r.Match.Command = slices.Clone(steps), condition.Threshold{Ratio: 0.8}, regexp.MustCompile(`^catalina$`)
			})
			return config(rule(func(r *rules.Rule) { r.Name, r.Match.Exe = "first", regexp.MustCompile(`^/nowhere$`) }), r)
		}
		inForce := written()
		p := New(inForce, Options{Enforce: true})
		process := closewait.Process{}
		line, activity := "catalina", closewait.Activity{Ran: 1}
		at := func(d time.Duration) *closewait.View {
			h := holder(alice, sockets(2, 1, hour), func(p *closewait.Process) { p.OpenFDs = 900 })
			process = h.Process
			v := view(d, h)
			v.Uptime = time.Hour + d
			return v
		}
		learn := func(s State) State {
			return s.Learn([]Command{{ID: alice, Exe: "/usr/bin/server", Line: line, Read: epoch.Add(hour)}}).
				LearnActivities(map[closewait.ProcessID]closewait.Activity{alice: activity})
		}
		_, s := p.Decide(at(0), learn(State{}))
		decisions, s := p.Decide(at(time.Minute), learn(s))
		if !decisions[0].Acts() {
			t.Fatal(describe(decisions))
		}
		d, now, slept := &decisions[0], time.Minute, time.Duration(0)
		for i := range steps {
			now += time.Duration(1+rng.IntN(60)) * time.Second
			v := at(now)
			if one(3) {
				inForce = written()
				r := &inForce.Rules[1]
				switch rng.IntN(10) {
				case 0:
					inForce.Rules = inForce.Rules[:1]
				case 1:
					r.Mode = rules.DryRun
				case 2:
					r.Match.Command = regexp.MustCompile(`^payments$`)
				case 3:
					r.Steps = r.Steps[:rng.IntN(len(r.Steps))]
				case 4:
					r.When.FDs.Ratio = 0.95
				case 5:
					inForce.Protect.Exe = []*regexp.Regexp{regexp.MustCompile(`^/usr/.*$`)}
				case 7:
					r.When.Window = condition.Window{From: 12 * time.Hour, To: 12*time.Hour + time.Duration(1+rng.IntN(3))*time.Minute, Zone: time.UTC}
				case 8:
					r.When.TimeLeft = 10 * time.Minute
				case 6:
					inForce.Rules[0], inForce.Rules[1] = inForce.Rules[1], inForce.Rules[0]
				}
				p = New(inForce, Options{Enforce: true})
			}
			switch rng.IntN(16) {
			case 0:
				line = "payments"
			case 1:
				process.OpenFDs = 100
			case 2:
				process.State = 'T'
			case 3:
				activity.Halted = "frozen by its cgroup"
			case 4:
				activity.Waiting = true
			case 5:
				slept += time.Hour
			}
			v.Uptime += slept
			growth := closewait.Growth{PerSecond: float64(rng.IntN(3)) / 5, Over: time.Minute}
			got := p.Recheck(v, s, d, i, []TargetFacts{{Process: process, Activity: activity, FDGrowth: growth, Command: func() (string, error) { return line, nil }}})
			refused[got.Label]++
			if got.Label != unlabelled {
				break
			}
			allowed++
			if why := forbidden(inForce, v.Taken, &process, growth, line, activity, i, steps[:i+1]); why != "" {
				t.Fatalf("seed %d, step %d: %s", seed, i, why)
			}
			if one(2) {
				activity.Ran++
				v := at(now + time.Second)
				v.Uptime += slept
				_, s = p.Decide(v, learn(s))
			}
		}
	}
	if allowed < 2000 || len(refused) < 8 {
		t.Errorf("%d steps allowed, and refused %v: the test tries too little", allowed, refused)
	}
}

// forbidden returns why rules forbid a step on a process.
func forbidden(c *rules.Config, now time.Time, p *closewait.Process, growth closewait.Growth, line string, a closewait.Activity, step int, steps []step.Step) string {
	i := slices.IndexFunc(c.Rules, func(r rules.Rule) bool { return r.Name == "leak" })
	switch {
	case i < 0:
		return "there is no such rule"
	case c.Rules[i].Mode != rules.Enforce:
		return "the rule does not act"
	case len(c.Rules[i].Steps) <= step || !reflect.DeepEqual(c.Rules[i].Steps[:step+1], steps):
		return "the rule has other steps"
	case len(c.Protect.Exe) > 0:
		return "the program is protected"
	case !c.Rules[i].Match.Command.MatchString(line):
		return "the rule does not match"
	case float64(p.OpenFDs) < 1000*c.Rules[i].When.FDs.Ratio:
		return "it has enough descriptors"
	case c.Rules[i].When.TimeLeft > 0 && growth.PerSecond*c.Rules[i].When.TimeLeft.Seconds() < float64(p.MaxFDs-p.OpenFDs):
		return "its descriptors last long enough"
	case c.Rules[i].When.Window.Zone != nil && now.Sub(epoch) >= c.Rules[i].When.Window.To-12*time.Hour:
		return "its window is over"
	case p.State == 'T' || a.Halted != "":
		return "it cannot run"
	}
	return ""
}
