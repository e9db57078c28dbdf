package policy

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// prefork returns processes of one unit that hold the same sockets, as after a fork.
func prefork(shared []*closewait.Socket, change map[int]func(*closewait.Process), ids ...closewait.ProcessID) []*closewait.Holder {
	for _, s := range shared {
		s.Holders = ids
	}
	var holders []*closewait.Holder
	for _, id := range ids {
		h := holder(id, append([]*closewait.Socket{}, shared...), unit("web.service"))
		if f := change[id.PID]; f != nil {
			f(&h.Process)
		}
		holders = append(holders, h)
	}
	return holders
}

func TestSharedSockets(t *testing.T) {
	destroyOnly := rule(func(r *rules.Rule) { r.Steps = []step.Step{step.Destroy{}} })
	scenarios := map[string]struct {
		policy  *Policy
		holders []*closewait.Holder
		want    string
	}{
		"all holders are ended together": {
			policy(rule()), prefork(sockets(2, 1, hour), nil, alice, bob), "leak/10 act with 11, leak/11 in_progress",
		},
		"a step that ends no process needs no others": {
			policy(destroyOnly), prefork(sockets(2, 1, hour), nil, alice, bob), "leak/10 act, leak/11 in_progress",
		},
		"not when one of them is of another program": {
			policy(rule()), prefork(sockets(2, 1, hour), map[int]func(*closewait.Process){11: exe("/opt/other")}, alice, bob), "leak/10 pending",
		},
		"not when one of them is protected": {
			policy(rule()), prefork(sockets(2, 1, hour), map[int]func(*closewait.Process){11: exe("/usr/sbin/sshd")}, alice, bob), "leak/10 pending, leak/11 protected",
		},
		"not when one of them is stopped": {
			policy(rule()), prefork(sockets(2, 1, hour), map[int]func(*closewait.Process){11: state('T')}, alice, bob), "leak/10 pending, leak/11 stopped",
		},
		"not when one of them has descriptors left": {
			policy(rule(fds(0.5, 0))), prefork(sockets(2, 1, hour), map[int]func(*closewait.Process){10: openFDs(600)}, alice, bob), "leak/10 pending, leak/11 enough_fds",
		},
		"not when another user has handed them to one of them": {
			policy(rule()), prefork(sockets(2, 1, hour, openedByUser(33)), map[int]func(*closewait.Process){10: uid(33)}, alice, bob), "leak/10 pending, leak/11 pending",
		},
		"when root has opened them for another user": {
			policy(rule()), prefork(sockets(2, 1, hour), map[int]func(*closewait.Process){11: uid(33)}, alice, bob), "leak/10 act with 11, leak/11 in_progress",
		},
		"who shares too little to be ended saves what it shares": {
			policy(rule()),
			[]*closewait.Holder{
				holder(alice, append(sockets(2, 1, hour), socket(9, hour, sharedBy(alice, bob))), unit("web.service")),
				holder(bob, []*closewait.Socket{socket(9, hour, sharedBy(alice, bob))}, unit("web.service")),
			},
			"leak/10 act, leak/11 pending",
		},
		"one holder saves what all others share with it": {
			policy(rule()), prefork(sockets(2, 1, hour), map[int]func(*closewait.Process){12: exe("/opt/other")}, alice, bob, carol), "leak/10 pending, leak/11 pending",
		},
		"the whole family counts against limits": {
			policy(rule()), prefork(sockets(2, 1, hour), nil, alice, bob, carol, dave),
			"leak/10 budget, leak/11 budget, leak/12 budget, leak/13 budget",
		},
		"a family is no fleet to the breaker": {
			policy(rule()), prefork(sockets(2, 1, hour), nil, alice, bob, carol),
			"leak/10 act with 11 with 12, leak/11 in_progress, leak/12 in_progress",
		},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			play(t, s.policy, []observation{{view(0), "", ""}, {view(time.Minute, s.holders...), s.want, ""}})
		})
	}
}

func TestOneRemediationForAGroup(t *testing.T) {
	web := unit("web.service")
	worse := holder(bob, sockets(5, 11, hour), web)
	v := func(minutes time.Duration) *closewait.View {
		return view(minutes*time.Minute, worse, holder(alice, sockets(2, 1, hour), web), holder(carol, sockets(3, 31, hour)))
	}
	p := policy(rule(func(r *rules.Rule) { r.Cooldown = 2 * time.Minute }))
	_, s := p.Decide(v(0), State{})
	decisions, s := p.Decide(v(1), s)
	if got, want := describe(decisions), "leak/11 act, leak/12 act, leak/10 in_progress"; got != want {
		t.Fatalf("got %s, want %s: the worst first, and one of each group", got, want)
	}
	run := decisions[0].ID()
	decisions, s = p.Decide(v(2), s)
	if got, want := describe(decisions), "leak/11 in_progress, leak/10 in_progress, leak/12 in_progress"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	s = s.Ended(RunResult{ID: run, Mode: rules.Enforce, At: epoch.Add(3 * time.Minute)})
	decisions, s = p.Decide(v(4), s)
	if got, want := describe(decisions), "leak/11 cooldown, leak/10 cooldown, leak/12 in_progress"; got != want {
		t.Fatalf("got %s, want %s: the cooldown counts from the end of the remediation", got, want)
	}
	decisions, _ = p.Decide(v(5), s)
	if got, want := describe(decisions), "leak/11 act, leak/10 in_progress, leak/12 in_progress"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestTheFirstRuleThatWouldActOnAProcessDoes(t *testing.T) {
	second := rule(func(r *rules.Rule) { r.Name, r.When.Sockets = "second", 1 })
	trial := rule(func(r *rules.Rule) { r.Name, r.Mode = "trial", rules.DryRun })
	scenarios := map[string]struct {
		policy *Policy
		want   string
	}{
		"the first of two":               {policy(rule(), second), "leak/10 act, second/10 in_progress"},
		"a trial takes nothing away":     {policy(trial, rule()), "leak/10 act, trial/10 in_progress"},
		"without the flag all is trial":  {New(config(rule()), Options{}), "leak/10 dry_run"},
		"a rule that is refused is none": {New(config(rule(), second), Options{Enforce: true, Refused: map[string]string{"leak": "no rights"}}), "second/10 act, leak suspended"},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			play(t, s.policy, []observation{
				{view(0, holder(alice, nil, exe("/opt/other"))), map[bool]string{true: "leak suspended"}[s.policy.refused != nil], ""},
				{view(time.Minute, holder(alice, sockets(2, 1, hour))), s.want, ""},
			})
		})
	}
}
