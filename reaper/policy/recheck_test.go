package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// TestRecheckMayBeCalledFromSeveralGoroutines: remediations call it while the reaper evaluates the
// next rounds. The race detector finds state that they share.
func TestRecheckMayBeCalledFromSeveralGoroutines(t *testing.T) {
	p := policy(rule(), rule(func(r *rules.Rule) { r.Name = "other" }))
	v := func(at time.Duration) *closewait.View {
		return view(at, holder(alice, sockets(2, 1, hour)), holder(bob, sockets(2, 11, hour)))
	}
	_, s := p.Decide(v(0), State{})
	decisions, s := p.Decide(v(time.Minute), s)
	var calls sync.WaitGroup
	for i := range decisions {
		d := &decisions[i]
		if !d.Acts() {
			continue
		}
		calls.Go(func() {
			for n := range 100 {
				now := v(time.Minute + time.Duration(n+1)*time.Second)
				if again := p.Recheck(now, s, d, 0, factsOf(d)); again.Label != unlabelled || len(again.Sockets) != 2 {
					t.Errorf("%s: %q because of %q, %d sockets", d.ID(), again.Label, again.Why, len(again.Sockets))
				}
			}
		})
	}
	next := s
	for n := range 100 {
		now := v(time.Minute + time.Duration(n+1)*time.Second)
		now.Holders = append(now.Holders, holder(carol, sockets(2, 21, hour), exe(fmt.Sprint("/usr/bin/program", n)))) // not in the cache yet
		p.UnreadCommands(now, next)
		_, next = p.Decide(now, next)
	}
	calls.Wait()
}

// factsOf returns the facts of the targets as they were at the decision.
func factsOf(d *Decision) []TargetFacts {
	var facts []TargetFacts
	for _, p := range d.TargetProcesses() {
		facts = append(facts, TargetFacts{Process: *p, Command: func() (string, error) { return "java catalina", nil }})
	}
	return facts
}

// TestBeforeAStepEverythingIsAskedAgain changes one thing after the decision: the rules or the
// process. The decision is about two processes that hold the same sockets.
func TestBeforeAStepEverythingIsAskedAgain(t *testing.T) {
	full := func(p *closewait.Process) { p.OpenFDs = 900 }
	decided := func(change ...func(*rules.Rule)) rules.Rule {
		return rule(append([]func(*rules.Rule){func(r *rules.Rule) {
			r.When.FDs = condition.Threshold{Ratio: 0.8}
			r.When.PeerShare = 0.5
			r.Match.Command = regexp.MustCompile(`.*catalina.*`)
		}}, change...)...)
	}
	peers := []*closewait.Socket{socket(1, hour, from("192.0.2.1:1000")), socket(2, hour, from("198.51.100.1:1000"))}
	at := func(d time.Duration, list []*closewait.Socket) *closewait.View {
		return view(d, prefork(list, map[int]func(*closewait.Process){10: full, 11: full}, alice, bob)...)
	}
	type reloaded = func(*rules.Config)
	type changed = func(*closewait.View, []TargetFacts)
	for name, c := range map[string]struct {
		reload reloaded
		change changed
		step   int
		want   Label
	}{
		"nothing":                   {nil, nil, 0, unlabelled},
		"the same rules":            {func(*rules.Config) {}, nil, 1, unlabelled},
		"rule removed":              {func(c *rules.Config) { c.Rules[0].Name = "other" }, nil, 0, LabelSuperseded},
		"all rules gone":            {func(c *rules.Config) { c.Rules = nil }, nil, 0, LabelSuperseded},
		"dry run":                   {func(c *rules.Config) { c.Rules[0].Mode = rules.DryRun }, nil, 0, LabelDryRun},
		"protected":                 {func(c *rules.Config) { c.Protect.Exe = []*regexp.Regexp{regexp.MustCompile(`^/usr/.*$`)} }, nil, 0, condition.LabelProtected},
		"other match":               {func(c *rules.Config) { c.Rules[0].Match.Exe = regexp.MustCompile(`^/opt/.*$`) }, nil, 0, LabelSuperseded},
		"other command":             {func(c *rules.Config) { c.Rules[0].Match.Command = regexp.MustCompile(`^tomcat$`) }, nil, 0, LabelSuperseded},
		"KILL removed":              {func(c *rules.Config) { c.Rules[0].Steps = c.Rules[0].Steps[:1] }, nil, 1, LabelSuperseded},
		"KILL removed, before TERM": {func(c *rules.Config) { c.Rules[0].Steps = c.Rules[0].Steps[:1] }, nil, 0, unlabelled},
		"a guard before KILL": {func(c *rules.Config) {
			c.Rules[0].Steps = []step.Step{c.Rules[0].Steps[0], step.Run{Command: []string{"/bin/ask"}}, c.Rules[0].Steps[1]}
		}, nil, 1, LabelSuperseded},
		"more sockets required":     {func(c *rules.Config) { c.Rules[0].When.Sockets = 50 }, nil, 0, unlabelled}, // see Minimum
		"more descriptors required": {func(c *rules.Config) { c.Rules[0].When.FDs = condition.Threshold{Ratio: 0.95} }, nil, 0, "enough_fds"},
		"a smaller share":           {func(c *rules.Config) { c.Rules[0].When.PeerShare = 0.2 }, nil, 0, "peer_share"},
		"for":                       {func(c *rules.Config) { c.Rules[0].When.For = time.Hour }, nil, 0, condition.LabelPending},
		"descriptors closed":        {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Process.OpenFDs = 300 }, 0, "enough_fds"},
		"descriptors of the other":  {nil, func(_ *closewait.View, f []TargetFacts) { f[1].Process.OpenFDs = 300 }, 0, "enough_fds"},
		"descriptors unknown":       {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Process.FDsKnown = false }, 0, "enough_fds"},
		"one peer has all": {nil, func(v *closewait.View, _ []TargetFacts) {
			for i, h := range v.Holders {
				v.Holders[i] = prefork([]*closewait.Socket{socket(1, hour, from("192.0.2.1:1000")), socket(2, hour, from("192.0.2.2:1000"))},
					map[int]func(*closewait.Process){10: full, 11: full}, alice, bob)[i]
				v.Holders[i].Process = h.Process
			}
		}, 0, "peer_share"},
		"its command line": {nil, func(_ *closewait.View, f []TargetFacts) {
			f[0].Command = func() (string, error) { return "java payments", nil }
		}, 0, LabelGone},
		"the command line of the other": {nil, func(_ *closewait.View, f []TargetFacts) {
			f[1].Command = func() (string, error) { return "java payments", nil }
		}, 0, LabelGone},
		"unreadable command line": {nil, func(_ *closewait.View, f []TargetFacts) {
			f[0].Command = func() (string, error) { return "", errors.New("it hangs") }
		}, 0, LabelIncompleteScan},
		"its program":              {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Process.Exe = "/opt/x" }, 0, LabelGone},
		"the program of the other": {nil, func(_ *closewait.View, f []TargetFacts) { f[1].Process.Exe = "/usr/sbin/sshd" }, 0, condition.LabelProtected},
		"its unit":                 {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Process.Unit = "x.service" }, 0, LabelGone},
		"stopped":                  {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Process.State = 'T' }, 0, condition.LabelStopped},
		"frozen":                   {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Activity.Halted = "frozen by its cgroup" }, 0, condition.LabelStopped},
		"the other is frozen":      {nil, func(_ *closewait.View, f []TargetFacts) { f[1].Activity.Halted = "frozen by its cgroup" }, 0, condition.LabelStopped},
		"no thread has run":        {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Activity = closewait.Activity{Waiting: true, Ran: 7} }, 0, condition.LabelStopped},
		"a thread has run":         {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Activity = closewait.Activity{Waiting: true, Ran: 8} }, 0, unlabelled},
		"nothing to do for it":     {nil, func(_ *closewait.View, f []TargetFacts) { f[0].Activity = closewait.Activity{Ran: 7} }, 0, unlabelled},
		"the host slept":           {nil, func(v *closewait.View, _ []TargetFacts) { v.Uptime += 4 * time.Minute }, 0, LabelGap},
		"a namespace is unread":    {nil, func(v *closewait.View, _ []TargetFacts) { v.UnreadableNamespaces = 1 }, 0, LabelIncompleteScan},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(decided())
			learn := func(s State, ran time.Duration) State {
				a := closewait.Activity{Ran: ran}
				return s.Learn([]Command{{ID: alice, Exe: "/usr/bin/server", Line: "java catalina", Read: epoch.Add(time.Hour)}, {ID: bob, Exe: "/usr/bin/server", Line: "java catalina", Read: epoch.Add(time.Hour)}}).
					LearnActivities(map[closewait.ProcessID]closewait.Activity{alice: a, bob: a})
			}
			_, s := p.Decide(at(0, peers), learn(State{}, 6))
			v := at(time.Minute, peers)
			v.Uptime = time.Hour
			decisions, s := p.Decide(v, learn(s, 7))
			d := &decisions[0]
			if !d.Acts() || len(d.With) != 1 {
				t.Fatalf("%s: %s", describe(decisions), d.Reason())
			}
			if c.reload != nil {
				again := config(decided())
				again.Rules[0].Steps = slices.Clone(again.Rules[0].Steps)
				c.reload(again)
				p = New(again, Options{Enforce: true})
			}
			now, facts := at(90*time.Second, peers), factsOf(d)
			now.Uptime = v.Uptime + 30*time.Second
			if c.change != nil {
				c.change(now, facts)
			}
			got := p.Recheck(now, s, d, c.step, facts)
			if got.Label != c.want {
				t.Errorf("%q because of %q, want %q", got.Label, got.Why, c.want)
			}
			if name == "more sockets required" && got.Minimum != 50 {
				t.Errorf("%d sockets are required", got.Minimum)
			}
		})
	}
}

// TestSocketsThatAStepHasCutCountForPeerShare: after shutdown or destroy most sockets have left
// CLOSE_WAIT. What is left there says nothing about the leak that the decision was about.
func TestSocketsThatAStepHasCutCountForPeerShare(t *testing.T) {
	var peers []*closewait.Socket
	for i := range 4 {
		peers = append(peers, socket(uint64(i+1), hour, from(fmt.Sprintf("192.0.%d.1:1000", i))))
	}
	at := func(d time.Duration, list []*closewait.Socket) *closewait.View { return view(d, holder(alice, list)) }
	p := policy(rule(func(r *rules.Rule) { r.When.PeerShare = 0.5 }))
	_, s := p.Decide(at(0, peers), State{})
	decisions, s := p.Decide(at(time.Minute, peers), s)
	d := &decisions[0]
	if !d.Acts() {
		t.Fatal(describe(decisions))
	}
	for name, c := range map[string]struct {
		cut  []*closewait.Socket
		want Label
	}{
		"nothing was cut":      {nil, "peer_share"},
		"three were cut":       {d.Evidence, unlabelled},
		"one is held no more":  {d.Evidence[1:], unlabelled},
		"only one is held too": {d.Evidence[3:], "peer_share"},
	} {
		facts := factsOf(d)
		facts[0].Cut = c.cut
		got := p.Recheck(at(90*time.Second, peers[3:]), s, d, 1, facts)
		if got.Label != c.want {
			t.Errorf("%s: %q because of %q, want %q", name, got.Label, got.Why, c.want)
		}
		if _, seen := got.Sockets[peers[0].ID]; got.Label == unlabelled && (seen || got.Sockets[peers[3].ID] == nil) {
			t.Errorf("%s: the sockets in CLOSE_WAIT are %v, want only the last one", name, got.Sockets)
		}
	}
}

func TestNoDryRunBesideARealRemediation(t *testing.T) {
	dry := func(r *rules.Rule) { r.Name, r.Mode = "trial", rules.DryRun }
	leak := func(at time.Duration) *closewait.View { return view(at, holder(alice, sockets(2, 1, hour))) }
	for name, list := range map[string][]rules.Rule{
		"the real rule first": {rule(), rule(dry)},
		"the dry rule first":  {rule(dry), rule()},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(list...)
			_, s := p.Decide(leak(0), State{})
			decisions, s := p.Decide(leak(time.Minute), s)
			if got := describe(decisions); got != "leak/10 act, trial/10 in_progress" {
				t.Errorf("in one round: %s", got)
			}
			decisions, _ = p.Decide(leak(2*time.Minute), s)
			for _, d := range decisions {
				if d.Label != condition.LabelInProgress {
					t.Errorf("during the remediation: %s", describe(decisions))
				}
			}
		})
	}
	t.Run("a reload sets the rule to dry run", func(t *testing.T) {
		p := policy(rule())
		_, s := p.Decide(leak(0), State{})
		_, s = p.Decide(leak(time.Minute), s)
		decisions, _ := policy(rule(func(r *rules.Rule) { r.Mode = rules.DryRun })).Decide(leak(2*time.Minute), s)
		if got := describe(decisions); got != "leak/10 in_progress" {
			t.Error(got)
		}
	})
}

// TestAReloadThatChangesTheArgumentsOfAGuardStopsTheRun: the text of a step does not have them,
// because they can be secret.
func TestAReloadThatChangesTheArgumentsOfAGuardStopsTheRun(t *testing.T) {
	asking := func(arguments ...string) rules.Rule {
		return rule(func(r *rules.Rule) {
			r.Steps = append([]step.Step{step.Run{Command: append([]string{"/bin/ask"}, arguments...)}}, r.Steps...)
		})
	}
	at := func(d time.Duration) *closewait.View { return view(d, holder(alice, sockets(2, 1, hour))) }
	p := policy(asking("{pid}"))
	_, s := p.Decide(at(0), State{})
	decisions, s := p.Decide(at(time.Minute), s)
	d := &decisions[0]
	if !d.Acts() {
		t.Fatal(describe(decisions))
	}
	for name, c := range map[string]struct {
		reloaded rules.Rule
		want     Label
	}{
		"the same":        {asking("{pid}"), unlabelled},
		"other arguments": {asking("{pid}", "{group}"), LabelSuperseded},
	} {
		if got := policy(c.reloaded).Recheck(at(90*time.Second), s, d, 0, factsOf(d)); got.Label != c.want {
			t.Errorf("%s: %q because of %q, want %q", name, got.Label, got.Why, c.want)
		}
	}
}
