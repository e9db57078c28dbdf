package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// strict makes a rule end only processes that something starts again.
func strict(r *rules.Rule) { r.AcceptNoRestart = false }

// Answers about processes.
var (
	byAlways    = closewait.Supervision{By: closewait.BySystemd, Text: "shop.service (Restart=always)"}
	byOnFailure = closewait.Supervision{
		By: closewait.BySystemd, Text: "shop.service (Restart=on-failure)", StaysDown: map[string]string{"TERM": "if it exits with status 0, it stays down"},
	}
	byNothing = closewait.Unsupervised("it belongs to no service")
)

func TestARuleEndsOnlyWhatIsStartedAgainAfterEachOfItsSteps(t *testing.T) {
	term, kill := step.Signal{Name: "TERM", Wait: time.Second}, step.Signal{Name: "KILL", Wait: time.Second}
	steps := func(list ...step.Step) func(*rules.Rule) { return func(r *rules.Rule) { r.Steps = list } }
	tests := map[string]struct {
		rule    rules.Rule
		answers map[closewait.ProcessID]closewait.Supervision
		want    Label
		reason  string
		count   string // by supervisor
	}{
		"started again":                {rule(strict), map[closewait.ProcessID]closewait.Supervision{alice: byAlways}, LabelAct, "", "systemd"},
		"no supervisor":                {rule(strict), map[closewait.ProcessID]closewait.Supervision{alice: byNothing}, condition.LabelUnsupervised, "accept_no_restart: true", "none"},
		"not after TERM":               {rule(strict), map[closewait.ProcessID]closewait.Supervision{alice: byOnFailure}, condition.LabelUnsupervised, "after TERM: if it exits with status 0", "none"},
		"not after TERM, and no TERM":  {rule(strict, steps(kill)), map[closewait.ProcessID]closewait.Supervision{alice: byOnFailure}, LabelAct, "", "systemd"},
		"TERM is never left out":       {rule(strict, steps(step.Destroy{}, term, kill)), map[closewait.ProcessID]closewait.Supervision{alice: byOnFailure}, condition.LabelUnsupervised, "", "none"},
		"nothing is ended":             {rule(strict, steps(step.Destroy{})), nil, LabelAct, "", ""},
		"a signal that ends nothing":   {rule(strict, steps(step.Signal{Name: "WINCH", Wait: time.Second})), nil, LabelAct, "", ""},
		"the pod is evicted first":     {rule(strict, steps(step.Evict{}, kill)), nil, LabelAct, "", ""},
		"the pod is evicted too late":  {rule(strict, steps(term, step.Evict{})), map[closewait.ProcessID]closewait.Supervision{alice: byNothing}, condition.LabelUnsupervised, "", "none"},
		"it may stay down":             {rule(), nil, LabelAct, "", ""},
		"no answer":                    {rule(strict), map[closewait.ProcessID]closewait.Supervision{}, condition.LabelUnsupervised, "not asked", ""},
		"an answer about another one":  {rule(strict), map[closewait.ProcessID]closewait.Supervision{bob: byAlways}, condition.LabelUnsupervised, "not asked", ""},
		"dry run decides the same way": {rule(strict, func(r *rules.Rule) { r.Mode = rules.DryRun }), map[closewait.ProcessID]closewait.Supervision{alice: byNothing}, condition.LabelUnsupervised, "", "none"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := policy(test.rule)
			leak := func(at time.Duration) *closewait.View { return view(at, holder(alice, sockets(2, 1, hour))) }
			_, before := p.Decide(leak(0), State{})
			decisions, _ := p.Decide(leak(time.Minute), before)
			if unasked := Unasked(decisions); (len(unasked) == 1) != (test.answers != nil) {
				t.Errorf("asks about %d processes", len(unasked))
			}
			decisions, after := p.Decide(leak(time.Minute), before.LearnSupervision(test.answers))
			if d := &decisions[0]; d.Label != test.want || !strings.Contains(d.Reason(), test.reason) {
				t.Errorf("%s: %s, want %s: %s", d.Label, d.Reason(), test.want, test.reason)
			}
			want := map[string]map[closewait.Supervisor]int{}
			if test.count != "" {
				want["leak"] = map[closewait.Supervisor]int{closewait.Supervisor(test.count): 1}
			}
			if diff := cmp.Diff(want, after.Supervised()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnAnswerCountsForOneRound: systemd is asked again in the next one.
func TestAnAnswerCountsForOneRound(t *testing.T) {
	p := policy(rule(strict, func(r *rules.Rule) { r.When.FDs = condition.Threshold{Count: 100} }))
	full := func(at time.Duration, n uint64) *closewait.View {
		return view(at, holder(alice, sockets(2, 1, hour), openFDs(n)))
	}
	_, s := p.Decide(full(0, 100), State{})
	decisions, s := p.Decide(full(time.Minute, 100), s.LearnSupervision(map[closewait.ProcessID]closewait.Supervision{alice: byNothing}))
	if len(Unasked(decisions)) != 0 {
		t.Error("asks again in the same round")
	}
	decisions, s = p.Decide(full(2*time.Minute, 100), s)
	if len(Unasked(decisions)) != 1 {
		t.Error("an answer of an earlier round is used")
	}
	decisions, _ = p.Decide(full(3*time.Minute, 99), s)
	if len(Unasked(decisions)) != 0 || decisions[0].Label != Label("enough_fds") {
		t.Errorf("%s, asks about %d processes that would not be acted on", decisions[0].Label, len(Unasked(decisions)))
	}
}

// TestEveryProcessThatIsEndedIsAskedAbout has two processes that hold the same sockets.
func TestEveryProcessThatIsEndedIsAskedAbout(t *testing.T) {
	p := policy(rule(strict))
	leak := func(at time.Duration) *closewait.View {
		shared := sockets(2, 1, hour, sharedBy(alice, bob))
		return view(at, holder(alice, shared, unit("shop.service")), holder(bob, shared, unit("shop.service")))
	}
	_, before := p.Decide(leak(0), State{})
	decisions, _ := p.Decide(leak(time.Minute), before)
	if n := len(Unasked(decisions)); n != 2 {
		t.Errorf("asks about %d processes, want 2", n)
	}
	for _, test := range []struct {
		bob  closewait.Supervision
		want Label
	}{{byAlways, LabelAct}, {byNothing, condition.LabelUnsupervised}} {
		answers := map[closewait.ProcessID]closewait.Supervision{alice: byAlways, bob: test.bob}
		decisions, _ := p.Decide(leak(time.Minute), before.LearnSupervision(answers))
		if d := &decisions[0]; d.Label != test.want {
			t.Errorf("%s: %s, want %s", d.Label, d.Reason(), test.want)
		}
	}
}

func TestALeakIsBlockedWhileNothingStartsItsProcessAgain(t *testing.T) {
	p := policy(rule(strict))
	s := State{}
	for i := range 4 {
		v := view(time.Duration(i)*time.Minute, holder(alice, sockets(2, 1, hour)))
		_, s = p.Decide(v, s.LearnSupervision(map[closewait.ProcessID]closewait.Supervision{alice: byNothing}))
	}
	if got := describeBlocked(&s); got != "leak unsupervised=2m0s" {
		t.Errorf("%s", got)
	}
}

// TestTheSupervisorIsAskedAgainBeforeAStep, under the rules in force then.
func TestTheSupervisorIsAskedAgainBeforeAStep(t *testing.T) {
	strictly, accepting := policy(rule(strict)), policy(rule())
	leak := func(at time.Duration) *closewait.View { return view(at, holder(alice, sockets(2, 1, hour))) }
	answers := map[closewait.ProcessID]closewait.Supervision{alice: byAlways}
	_, s := strictly.Decide(leak(0), State{})
	decisions, s := strictly.Decide(leak(time.Minute), s.LearnSupervision(answers))
	answer := func(s closewait.Supervision) func() closewait.Supervision {
		return func() closewait.Supervision { return s }
	}
	for name, test := range map[string]struct {
		policy *Policy
		ask    func() closewait.Supervision
		want   Label
	}{
		"it is still started again":           {strictly, answer(byAlways), unlabelled},
		"it is not any more":                  {strictly, answer(byNothing), condition.LabelUnsupervised},
		"that is accepted meanwhile":          {accepting, answer(byNothing), unlabelled},
		"another target has ended, no answer": {strictly, nil, unlabelled},
	} {
		facts := factsOf(&decisions[0])
		facts[0].Supervision = test.ask
		if again := test.policy.Recheck(leak(61*time.Second), s, &decisions[0], 0, facts); again.Label != test.want {
			t.Errorf("%s: %q because of %q, want %q", name, again.Label, again.Why, test.want)
		}
	}
}
