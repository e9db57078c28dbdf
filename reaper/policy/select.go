package policy

import (
	"cmp"
	"slices"
	"time"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// selectCandidates chooses which candidates to act on: none of a rule that selects too many, then
// one of each group, within limits.
func (r *round) selectCandidates() {
	if len(r.candidates) == 0 {
		return
	}
	slices.SortFunc(r.candidates, worstFirst)
	budgets := [2]roundBudget{r.budget(rules.DryRun), r.budget(rules.Enforce)}
	for i := range r.policy.rules {
		r.tripBreaker(i)
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Label != LabelBreaker {
			budgets[d.Rule.Mode].admit(d, r.notPublished(d))
		}
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Acts() {
			r.next.limiters[d.Rule.Mode].reserve(d, r.next.steady(r.view.Taken))
		}
	}
}

// worstFirst orders candidates. Processes on which remediations did nothing come last, so that they
// do not keep the budget from others.
func worstFirst(a, b Decision) int {
	return cmp.Or(
		cmp.Compare(a.attempts, b.attempts),
		cmp.Compare(b.Counting, a.Counting),
		a.Evidence[0].Since.Compare(b.Evidence[0].Since),
		cmp.Compare(a.Process.ID.PID, b.Process.ID.PID),
		cmp.Compare(b.Rule.Mode, a.Rule.Mode),
	)
}

// roundBudget holds the groups and the actions left for the candidates of a mode in this round.
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

// admit labels a candidate: to act, or why not. notPublished is why the brake is not asked yet.
func (b *roundBudget) admit(d *Decision, notPublished string) {
	d.BudgetLeft = b.left
	var by *rules.Rule
	for _, group := range d.limitGroups {
		by = cmp.Or(by, b.groups[group])
	}
	switch {
	case by != nil:
		d.Label, d.Why = condition.LabelInProgress, "rule "+by.Name+" acts on a process of the group in this round"
	case d.Cost() > b.left && b.frozen > 0:
		d.Label, d.Why = LabelBudget, "the state file could not be used, so the past actions are unknown: no budget for "+b.frozen.String()
	case d.Cost() > b.left:
		d.Label = LabelBudget
	case notPublished != "":
		d.Label, d.Why = LabelBrake, notPublished
	default:
		d.Label = acting[d.Rule.Mode]
		for _, group := range d.limitGroups {
			b.groups[group] = d.Rule
		}
		b.left -= d.Cost()
	}
}
