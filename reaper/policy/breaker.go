package policy

import (
	"time"

	"closewait_exporter/reaper/rules"
)

// A rule that would act on minBreakerGroups groups within breakerWindow, and matches fewer healthy
// ones, trips its breaker: the cause is an incident elsewhere.
const (
	minBreakerGroups = 3
	breakerWindow    = 10 * time.Minute
)

// tripBreaker suspends a rule that would act on too many groups, and labels its candidates. It
// counts before the budget admits any of them. Processes of one group count as one: a service with
// many workers is not a fleet. A process on which the last remediation did nothing does not count
// until it is acted on: otherwise clients could make a guard deny so often that the rule is
// suspended.
func (r *round) tripBreaker(index int) {
	rule := &r.policy.rules[index]
	l := &r.next.limiters[rule.Mode]
	found := false
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Rule == rule {
			found = true
			d.dueBefore = l.due[d.ruleGroup()]
		}
	}
	if !found {
		return
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Rule == rule && d.attempts == 0 {
			l.due[d.ruleGroup()] = r.view.Taken
		}
	}
	due, healthy := r.groupsOf(index)
	if due < minBreakerGroups || due <= healthy {
		return
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Rule == rule {
			d.Label, d.Due, d.Healthy = LabelBreaker, due, healthy
		}
	}
	l.suspended[rule.Name] = r.view.Taken.Add(max(rule.Cooldown, r.policy.config.Limits.Per))
}

// groupsOf returns the number of groups that a rule would have acted on within breakerWindow, and
// the number of other groups that it matches and that are healthy: they have fewer sockets than the
// rule asks for. Groups with more sockets, which are too young for example, may be part of the
// incident.
func (r *round) groupsOf(index int) (due, healthy int) {
	rule := &r.policy.rules[index]
	affected := map[string]bool{}
	for key := range r.next.limiters[rule.Mode].due {
		if key.rule == rule.Name {
			affected[key.group] = true
		}
	}
	due = len(affected)
	few := map[string]bool{}
	for i := range r.next.processes {
		p := &r.next.processes[i]
		if p.rules[index].matchState != matches || !concerns(rule, p.Holder) {
			continue
		}
		if rule.When.Candidates(p.Holder) < rule.When.MinSockets() {
			few[p.limitGroup] = true
		} else {
			affected[p.limitGroup] = true
		}
	}
	for group := range few {
		if !affected[group] {
			healthy++
		}
	}
	return due, healthy
}

// BreakerTripped reports whether the breaker of some rule has tripped.
func (s *State) BreakerTripped() bool {
	return len(s.limiters[rules.DryRun].suspended)+len(s.limiters[rules.Enforce].suspended) > 0
}
