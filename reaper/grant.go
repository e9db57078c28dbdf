package reaper

import (
	"cmp"
	"slices"
	"time"
)

// breakerVictims is how many victims of a rule in one round are needed for its breaker to trip, when
// they are more than half of the processes that it matches.
const breakerVictims = 3

// grant chooses among the candidates: one of each group, as many as limits allow, and none of a rule
// that hits too many at once.
func (r *round) grant() {
	if len(r.candidates) == 0 {
		return
	}
	slices.SortFunc(r.candidates, worstFirst)
	claims := [2]claims{r.claims(DryRun), r.claims(Enforce)}
	for i := range r.candidates {
		claims[r.candidates[i].Rule.Mode].admit(&r.candidates[i])
	}
	for i := range r.policy.rules {
		r.trip(i)
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Acts() {
			r.next.leashes[d.Rule.Mode].start(d)
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

// claims are the groups and the budget that candidates of a mode have taken in this round.
type claims struct {
	groups map[string]*Rule
	left   int
	frozen time.Duration // for so long nobody knows what is left
}

func (r *round) claims(mode Mode) claims {
	l := &r.next.leashes[mode]
	return claims{
		groups: map[string]*Rule{},
		left:   l.left(r.view.Taken, r.policy.config.Limits),
		frozen: l.frozen.Sub(r.view.Taken),
	}
}

func (c *claims) admit(d *Decision) {
	d.BudgetLeft = c.left
	by := c.groups[d.Group]
	switch {
	case by != nil:
		d.Label, d.Why = LabelInProgress, "rule "+by.Name+" acts on a process of the group in this round"
	case d.cost() > c.left && c.frozen > 0:
		d.Label, d.Why = LabelBudget, "the state file could not be used, so nobody knows what was done: none for another "+c.frozen.String()
	case d.cost() > c.left:
		d.Label = LabelBudget
	default:
		d.Label = acting[d.Rule.Mode]
		c.groups[d.Group] = d.Rule
		c.left -= d.cost()
	}
}

// cost is the number of actions that a decision takes out of the budget: that of its victims.
func (d *Decision) cost() int { return 1 + len(d.With) }

// trip suspends a rule that has chosen too many victims. Processes that hold the same sockets and
// would end together count as one: a prefork server is not a fleet.
func (r *round) trip(index int) {
	rule := &r.policy.rules[index]
	victims, together := 0, 0
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Acts() && d.Rule == rule {
			victims++
			together += len(d.With)
		}
	}
	matched := r.next.matched[index]
	if victims < breakerVictims || 2*victims <= matched-together {
		return
	}
	for i := range r.candidates {
		if d := &r.candidates[i]; d.Acts() && d.Rule == rule {
			d.Label, d.Victims, d.Matched = LabelBreaker, victims, matched
		}
	}
	r.next.suspended[rule.Name] = r.view.Taken.Add(max(rule.Cooldown, r.policy.config.Limits.Per))
}
