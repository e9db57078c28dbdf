package policy

import (
	"cmp"
	"slices"
	"time"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// minBreakerTargets is the number of targets of a rule in one round that trips its breaker if they
// are more than half of the processes that it matches.
const minBreakerTargets = 3

// selectCandidates chooses which candidates to act on: one of each group, within limits, and none
// of a rule that selects too many at once.
func (r *round) selectCandidates() {
	if len(r.candidates) == 0 {
		return
	}
	slices.SortFunc(r.candidates, worstFirst)
	budgets := [2]roundBudget{r.budget(rules.DryRun), r.budget(rules.Enforce)}
	for i := range r.candidates {
		budgets[r.candidates[i].Rule.Mode].reserve(&r.candidates[i])
	}
	for i := range r.policy.rules {
		r.tripBreaker(i)
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Acts() {
			r.next.limiters[d.Rule.Mode].start(d)
		}
	}
}

func worstFirst(a, b Decision) int {
	return cmp.Or(
		cmp.Compare(b.Counting, a.Counting),
		a.Evidence[0].Since.Compare(b.Evidence[0].Since),
		cmp.Compare(a.Process.ID.PID, b.Process.ID.PID),
		cmp.Compare(b.Rule.Mode, a.Rule.Mode),
	)
}

// roundBudget holds the groups and actions that candidates of a mode have reserved in this round.
type roundBudget struct {
	groups map[string]*rules.Rule
	left   int
	frozen time.Duration // for how long the number of actions left is unknown
}

func (r *round) budget(mode rules.Mode) roundBudget {
	l := &r.next.limiters[mode]
	return roundBudget{
		groups: map[string]*rules.Rule{},
		left:   l.left(r.view.Taken, r.policy.config.Limits),
		frozen: l.frozenUntil.Sub(r.view.Taken),
	}
}

// reserve labels a candidate: to act, or why not.
func (b *roundBudget) reserve(d *Decision) {
	d.BudgetLeft = b.left
	by := b.groups[d.Group]
	for _, group := range d.otherGroups {
		by = cmp.Or(by, b.groups[group])
	}
	switch {
	case by != nil:
		d.Label, d.Why = condition.LabelInProgress, "rule "+by.Name+" acts on a process of the group in this round"
	case d.Cost() > b.left && b.frozen > 0:
		d.Label, d.Why = LabelBudget, "the state file could not be used, so the past actions are unknown: no budget for "+b.frozen.String()
	case d.Cost() > b.left:
		d.Label = LabelBudget
	default:
		d.Label = acting[d.Rule.Mode]
		b.groups[d.Group] = d.Rule
		for _, group := range d.otherGroups {
			b.groups[group] = d.Rule
		}
		b.left -= d.Cost()
	}
}

// tripBreaker suspends a rule that has selected too many targets. Processes that hold the same
// sockets and would be ended together count as one: a prefork server is not a fleet.
func (r *round) tripBreaker(index int) {
	rule := &r.policy.rules[index]
	targets, together := 0, 0
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Acts() && d.Rule == rule {
			targets++
			together += len(d.With)
		}
	}
	matched := r.next.matched[index]
	if targets < minBreakerTargets || 2*targets <= matched-together {
		return
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Acts() && d.Rule == rule {
			d.Label, d.Targets, d.Matched = LabelBreaker, targets, matched
		}
	}
	r.next.suspended[rule.Name] = r.view.Taken.Add(max(rule.Cooldown, r.policy.config.Limits.Per))
}
