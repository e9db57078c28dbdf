package policy

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

func TestRoundsThatDoNotCount(t *testing.T) {
	leak := func() *closewait.Holder { return holder(alice, sockets(2, 1, hour)) }
	unread := func(v *closewait.View) *closewait.View { v.UnreadableNamespaces = 1; return v }
	at := func(minutes time.Duration) *closewait.View { return view(minutes*time.Minute, leak()) }
	held := policy(rule(func(r *rules.Rule) { r.When.For = 2 * time.Minute }))
	scenarios := map[string]struct {
		policy       *Policy
		observations []observation
	}{
		"a namespace could not be read": {policy(rule()), []observation{
			{at(0), "leak/10 pending", ""}, {unread(at(1)), "leak incomplete_scan", "1 network namespaces"}, {at(2), "leak/10 act", ""},
		}},
		"the same View again": {policy(rule()), []observation{
			{at(0), "leak/10 pending", ""}, {at(0), "leak incomplete_scan", "not newer"}, {at(1), "leak/10 act", ""},
		}},
		"a View that counts for nothing does not interrupt for": {held, []observation{
			{at(-1), "leak/10 pending", ""}, {at(0), "leak/10 pending", "for 0s, 2m0s required"}, {unread(at(1)), "leak incomplete_scan", ""}, {at(2), "leak/10 act", ""},
		}},
		"three intervals are no gap": {policy(rule()), []observation{{at(0), "leak/10 pending", ""}, {at(3), "leak/10 act", ""}}},
		"after a gap everything starts again": {held, []observation{
			{at(0), "leak/10 pending", ""},
			{at(1), "leak/10 pending", "for 0s"},
			{at(5), "leak gap", "no View for 4m0s, at most 3m0s allowed"},
			{at(6), "leak/10 pending", "for 0s"},
			{at(7), "leak/10 pending", "for 1m0s"},
			{at(8), "leak/10 act", ""},
		}},
		"Views that do not count add up to a gap": {policy(rule()), []observation{
			{at(0), "leak/10 pending", ""}, {unread(at(2)), "leak incomplete_scan", ""}, {at(4), "leak gap", ""}, {at(5), "leak/10 act", ""},
		}},
		"age is not gained in a gap": {policy(rule(func(r *rules.Rule) { r.When.Age = 2 * time.Minute })), []observation{
			{at(0), "leak/10 pending", ""}, {at(9), "leak gap", ""}, {at(10), "leak/10 pending", "2 not old enough"}, {at(11), "leak/10 act", "2m0s old and 2m0s quiet"},
		}},
		"age is not gained while the process is stopped": {policy(rule()), []observation{
			{view(0, holder(alice, sockets(2, 1, hour), state('T'))), "leak/10 stopped", ""},
			{view(30*time.Second, leak()), "leak/10 pending", "2 not old enough"},
			{view(60*time.Second, leak()), "leak/10 pending", "2 not old enough"}, // it may have run only since 30s
			{view(90*time.Second, leak()), "leak/10 act", "1m0s old"},
		}},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) { play(t, s.policy, s.observations) })
	}
}

func TestFor(t *testing.T) {
	p := policy(rule(func(r *rules.Rule) { r.When.For = 2 * time.Minute }))
	leak := func(n int) *closewait.Holder { return holder(alice, sockets(n, 1, hour)) }
	scenarios := map[string][]observation{
		"the evidence must last": {
			{view(0), "", ""},
			{view(1*time.Minute, leak(2)), "leak/10 pending", "enough evidence for 0s, 2m0s required"},
			{view(2*time.Minute, leak(2)), "leak/10 pending", "enough evidence for 1m0s"},
			{view(3*time.Minute, leak(2)), "leak/10 act", "enough evidence for 2m0s"},
		},
		"an interruption starts it again": {
			{view(0), "", ""},
			{view(1*time.Minute, leak(2)), "leak/10 pending", ""},
			{view(2*time.Minute, leak(1)), "leak/10 pending", "1 of 1 sockets"},
			{view(3*time.Minute, leak(2)), "leak/10 pending", "for 0s"},
			{view(4*time.Minute, leak(2)), "leak/10 pending", "for 1m0s"},
			{view(5*time.Minute, leak(2)), "leak/10 act", ""},
		},
		"a process that was not there for a round starts again": {
			{view(0), "", ""},
			{view(1*time.Minute, leak(2)), "leak/10 pending", ""},
			{view(2 * time.Minute), "", ""},
			{view(3*time.Minute, leak(2)), "leak/10 pending", "for 0s"},
		},
		"another process with the pid starts again": {
			{view(0), "", ""},
			{view(1*time.Minute, leak(2)), "leak/10 pending", ""},
			{view(3*time.Minute, holder(closewait.ProcessID{PID: 10, Start: 999}, sockets(2, 7, hour))), "leak/10 pending", "for 0s"},
		},
	}
	for name, observations := range scenarios {
		t.Run(name, func(t *testing.T) { play(t, p, observations) })
	}
}

func TestAReloadForgetsNoStop(t *testing.T) {
	_, s := policy(rule()).Decide(view(0, holder(alice, sockets(2, 1, hour), state('T'))), State{})
	decisions, _ := policy(rule()).Decide(view(30*time.Second, holder(alice, sockets(2, 1, hour))), s)
	if got := describe(decisions); got != "leak/10 pending" {
		t.Errorf("%s, though the process had 30 s to close its sockets", got)
	}
}
