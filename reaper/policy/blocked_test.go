package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// blockedRound is a round: a View, what it blocks, and what happens after it.
type blockedRound struct {
	view *closewait.View
	want string // "rule by=duration", sorted
	then func(*testing.T, []Decision, State) State
}

func describeBlocked(s *State) string {
	var text []string
	for rule, by := range s.Blocked() {
		for label, d := range by {
			text = append(text, fmt.Sprintf("%s %s=%s", rule, label, d))
		}
	}
	slices.Sort(text)
	return strings.Join(text, ", ")
}

func playBlocked(t *testing.T, p *Policy, s State, rounds []blockedRound) State {
	t.Helper()
	for i, r := range rounds {
		var decisions []Decision
		decisions, s = p.Decide(r.view, s)
		if r.then != nil {
			s = r.then(t, decisions, s)
		}
		if got := describeBlocked(&s); got != r.want {
			t.Fatalf("round %d\n got %q\nwant %q after %s", i+1, got, r.want, describe(decisions))
		}
		if most := len(r.view.Holders) * len(p.rules); len(s.blocked.leaks) > most && s.unusable == unlabelled {
			t.Fatalf("round %d: %d leaks are remembered, at most %d are there", i+1, len(s.blocked.leaks), most)
		}
	}
	return s
}

// ended ends the remediation that a round has started.
func ended(r RunResult) func(*testing.T, []Decision, State) State {
	return func(t *testing.T, decisions []Decision, s State) State {
		t.Helper()
		i := slices.IndexFunc(decisions, func(d Decision) bool { return d.Acts() })
		if i < 0 {
			t.Fatalf("no decision to act: %s", describe(decisions))
		}
		r.ID, r.Mode, r.At = decisions[i].ID(), decisions[i].Rule.Mode, decisions[i].Taken
		return s.Ended(r)
	}
}

func TestALeakPastAllConditionsIsBlockedByADecision(t *testing.T) {
	at := func(minutes time.Duration, holders ...*closewait.Holder) *closewait.View {
		return view(minutes*time.Minute, holders...)
	}
	leak := func(change ...func(*closewait.Process)) *closewait.Holder {
		return holder(alice, sockets(2, 1, hour), change...)
	}
	sshd := exe("/usr/sbin/sshd")
	outbound := rule(func(r *rules.Rule) { r.When.Direction, r.When.For = condition.OutboundOnly, time.Minute })
	unknown := func(n int) *closewait.Holder { return holder(alice, sockets(n, 1, hour, unknownDirection)) }
	unread := func(v *closewait.View) *closewait.View { v.UnreadableNamespaces = 1; return v }
	frozen := (State{}).Freeze(epoch.Add(time.Hour))
	dry := rule(func(r *rules.Rule) { r.Mode = rules.DryRun })
	three := []*closewait.Holder{leak(), holder(bob, sockets(2, 11, hour)), holder(carol, sockets(2, 21, hour))}
	denied := RunResult{NoAction: true, Label: LabelGuardDenied}
	scenarios := map[string]struct {
		policy *Policy
		before State
		rounds []blockedRound
	}{
		"protected, until it is over": {policy(rule()), State{}, []blockedRound{
			{at(0, leak(sshd)), "", nil}, {at(1, leak(sshd)), "leak protected=0s", nil}, {at(2, leak(sshd)), "leak protected=1m0s", nil},
			{at(3, holder(alice, sockets(1, 1, hour), sshd)), "", nil}, {at(4, leak(sshd)), "leak protected=0s", nil}, {at(5), "", nil},
		}},
		"another process with the pid starts again": {policy(rule()), State{}, []blockedRound{
			{at(0, leak(sshd)), "", nil}, {at(1, leak(sshd)), "leak protected=0s", nil}, {at(2, leak(sshd)), "leak protected=1m0s", nil},
			{at(3, holder(closewait.ProcessID{PID: alice.PID, Start: 999}, sockets(2, 7, hour), sshd)), "leak protected=0s", nil},
		}},
		"of several the one that has been blocked for longest": {policy(rule()), State{}, []blockedRound{
			{at(0, leak(sshd)), "", nil}, {at(1, leak(sshd)), "leak protected=0s", nil},
			{at(2, leak(sshd), holder(bob, sockets(2, 11, hour), sshd)), "leak protected=1m0s", nil},
			{at(3, holder(bob, sockets(2, 11, hour), sshd)), "leak protected=1m0s", nil},
		}},
		"not while a condition does not hold": {policy(rule(func(r *rules.Rule) { r.When.FDs, r.When.For = condition.Threshold{Ratio: 0.8}, 2*time.Minute })), State{}, []blockedRound{
			{at(0, leak(sshd)), "", nil}, {at(1, leak(sshd)), "", nil}, {at(2, leak(sshd)), "", nil}, {at(3, leak(sshd)), "", nil},
			{at(4, leak(sshd, openFDs(900))), "leak protected=0s", nil}, {at(5, leak(sshd, openFDs(900), state('T'))), "", nil},
		}},
		"not by peer_share, which is a condition": {policy(rule(func(r *rules.Rule) { r.When.PeerShare = 0.25 })), State{}, []blockedRound{
			{at(0, holder(alice, sockets(2, 1, hour, from("198.51.100.7:4000")), sshd)), "", nil},
			{at(1, holder(alice, sockets(2, 1, hour, from("198.51.100.7:4000")), sshd)), "", nil},
		}},
		"an unknown direction, from when on for would hold": {policy(outbound), State{}, []blockedRound{
			{at(0, unknown(2)), "", nil}, {at(1, unknown(2)), "leak unknown_direction=0s", nil}, {at(2, unknown(2)), "leak unknown_direction=0s", nil},
			{at(3, unknown(2)), "leak unknown_direction=1m0s", nil}, {at(4, unknown(1)), "", nil},
		}},
		"an unknown direction only if it matters": {policy(rule(func(r *rules.Rule) { r.When.Direction = condition.InboundOnly })), State{}, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "", nil},
			{at(2, holder(bob, append(sockets(2, 11, hour, from("198.51.100.7:4000")), sockets(2, 15, hour, unknownDirection)...))), "", nil},
		}},
		"an unknown direction, without enough descriptors open": {policy(rule(func(r *rules.Rule) {
			r.When.Direction, r.When.FDs = condition.OutboundOnly, condition.Threshold{Ratio: 0.8}
		})), State{}, []blockedRound{
			{at(0, unknown(2)), "", nil}, {at(1, unknown(2)), "", nil},
		}},
		"budget": {policy(rule()), frozen, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "leak budget=0s", nil}, {at(2, leak()), "leak budget=1m0s", nil},
		}},
		"budget, in dry run": {policy(rule(func(r *rules.Rule) { r.Mode = rules.DryRun })), State{limiters: [2]limiter{rules.DryRun: {frozenUntil: epoch.Add(time.Hour)}}}, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "leak budget=0s", nil}, {at(2, leak()), "leak budget=1m0s", nil},
		}},
		"breaker, also while it suspends the rule": {policy(rule()), State{}, []blockedRound{
			{at(0, three...), "", nil}, {at(1, three...), "leak breaker=0s", nil}, {at(2, three...), "leak breaker=1m0s", nil}, {at(3, three[0]), "leak breaker=2m0s", nil},
			{at(4, holder(alice, sockets(1, 1, hour))), "", nil},
		}},
		"a step that is not permitted": {New(config(rule()), Options{Enforce: true, Refused: map[string]string{"leak": "no right"}}), State{}, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "leak suspended=0s", nil}, {at(2, leak()), "leak suspended=1m0s", nil},
		}},
		"low coverage": {policy(rule()), State{}, []blockedRound{
			{at(0, leak()), "", nil}, {inFlight(at(1, leak()), 5, 0), "leak low_coverage=0s", nil}, {inFlight(at(2, leak()), 5, 0), "leak low_coverage=1m0s", nil}, {at(3, leak()), "", nil},
		}},
		"not by the remediation, then by its cooldown": {policy(rule()), State{}, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "", nil}, {at(2, leak()), "", nil},
			{at(3, leak()), "", func(_ *testing.T, _ []Decision, s State) State {
				run := s.limiters[rules.Enforce].runs[0]
				return s.Ended(RunResult{ID: run.id, Mode: rules.Enforce, At: epoch.Add(3 * time.Minute)})
			}},
			{at(4, leak()), "leak cooldown=0s", nil}, {at(5, leak()), "leak cooldown=1m0s", nil},
		}},
		"not by a cooldown in dry run": {policy(dry), State{}, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "", ended(RunResult{})}, {at(2, leak()), "", nil}, {at(3, leak()), "", nil},
		}},
		"a guard that denies again and again": {policy(rule()), State{}, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "", ended(denied)}, {view(90*time.Second, leak()), "leak guard_denied=0s", nil},
			{view(120*time.Second, leak()), "", ended(denied)}, {view(150*time.Second, leak()), "leak guard_denied=1m0s", nil}, {at(3, leak()), "leak guard_denied=1m30s", nil},
			{at(4, leak()), "", ended(RunResult{})}, {at(5, leak()), "leak cooldown=0s", nil},
		}},
		"a remediation that stopped for another reason": {policy(rule()), State{}, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "", ended(RunResult{NoAction: true, Label: condition.LabelPending})}, {view(90*time.Second, leak()), "leak cooldown=0s", nil},
		}},
		"by one decision after the other": {policy(rule()), frozen, []blockedRound{
			{at(0, leak()), "", nil}, {at(1, leak()), "leak budget=0s", nil}, {at(2, leak(sshd)), "leak protected=1m0s", nil}, {at(3, leak()), "leak budget=2m0s", nil},
		}},
		"rounds that do not count": {policy(rule()), State{}, []blockedRound{
			{at(0, leak(sshd)), "", nil}, {at(1, leak(sshd)), "leak protected=0s", nil}, {unread(at(2, leak(sshd))), "leak incomplete_scan=1m0s", nil},
			{unread(at(3)), "leak incomplete_scan=2m0s", nil}, {at(4, leak(sshd)), "leak protected=3m0s", nil}, {at(9, leak(sshd)), "", nil}, {at(10, leak(sshd)), "leak protected=0s", nil},
		}},
		"the state file cannot be written": {policy(rule()), State{}, []blockedRound{
			{at(0, leak()), "", nil},
			{at(1, leak()), "leak budget=0s", func(_ *testing.T, decisions []Decision, s State) State {
				return s.Withhold(decisions, &State{}, epoch.Add(time.Hour))
			}},
			{at(2, leak()), "leak budget=1m0s", nil},
		}},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) { playBlocked(t, s.policy, s.before, s.rounds) })
	}
}

func TestACommandLineThatCannotBeReadBlocks(t *testing.T) {
	p := policy(rule(func(r *rules.Rule) { r.Match.Command = regexp.MustCompile("catalina") }))
	leak := func(at time.Duration) *closewait.View { return view(at, holder(alice, sockets(2, 1, hour))) }
	s := (State{}).Learn([]Command{{ID: alice, Exe: "/usr/bin/server", Err: errors.New("it hangs"), Read: epoch}})
	playBlocked(t, p, s, []blockedRound{{leak(0), "", nil}, {leak(time.Minute), "leak incomplete_scan=0s", nil}, {leak(2 * time.Minute), "leak incomplete_scan=1m0s", nil}})
}

func TestAReloadForgetsOnlyTheBlockedLeaksOfRulesThatAreGone(t *testing.T) {
	leak := func(at time.Duration) *closewait.View {
		return view(at, holder(alice, sockets(2, 1, hour), exe("/usr/sbin/sshd")))
	}
	other := rule(func(r *rules.Rule) { r.Name = "other" })
	s := playBlocked(t, policy(rule(), other), State{}, []blockedRound{
		{leak(0), "", nil}, {leak(time.Minute), "leak protected=0s, other protected=0s", nil}, {leak(2 * time.Minute), "leak protected=1m0s, other protected=1m0s", nil},
	})
	playBlocked(t, policy(rule()), s, []blockedRound{{leak(3 * time.Minute), "leak protected=2m0s", nil}})
}

func TestBlockersAreDecisionsOrTheDirection(t *testing.T) {
	for i, by := range blockers {
		if by != BlockedByDirection && !slices.Contains(labels, by) {
			t.Errorf("%s is no decision", by)
		}
		if slices.Contains(blockers[:i], by) {
			t.Errorf("%s is listed twice", by)
		}
	}
}
