package policy

import (
	"time"

	"closewait_exporter/reaper/rules"
)

// A rule that would act on minBreakerGroups groups within breakerWindow, and on more than half of
// those that it matches, trips its breaker: the cause is an incident elsewhere.
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
	due, matched := r.groupsOf(index)
	if due < minBreakerGroups || 2*due <= matched {
		return
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Rule == rule {
			d.Label, d.Targets, d.Matched = LabelBreaker, due, matched
		}
	}
	l.suspended[rule.Name] = r.view.Taken.Add(max(rule.Cooldown, r.policy.config.Limits.Per))
}

// groupsOf returns the number of groups that a rule would have acted on within breakerWindow, and
// the number of groups that it matches: these, and the ones that it matches now.
func (r *round) groupsOf(index int) (due, matched int) {
	rule := &r.policy.rules[index]
	groups := map[string]bool{}
	for key := range r.next.limiters[rule.Mode].due {
		if key.rule == rule.Name {
			groups[key.group] = true
		}
	}
	due = len(groups)
	for i := range r.next.processes {
		p := &r.next.processes[i]
		if p.rules[index].matchState == matches && concerns(rule, p.Holder) {
			groups[p.limitGroup] = true
		}
	}
	return due, len(groups)
}

// BreakerTripped reports whether the breaker of some rule has tripped.
func (s *State) BreakerTripped() bool {
	return len(s.limiters[rules.DryRun].suspended)+len(s.limiters[rules.Enforce].suspended) > 0
}
