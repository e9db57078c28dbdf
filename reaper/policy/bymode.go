package policy

import (
	"slices"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// selectByMode selects candidates of the rules that act, and then of the rules in dry run. None of
// these starts on a target or group that another rule really acts on.
func (r *round) selectByMode() {
	if len(r.candidates) == 0 {
		return
	}
	all := r.candidates
	r.candidates = slices.DeleteFunc(slices.Clone(all), func(d Decision) bool { return d.Rule.Mode != rules.Enforce })
	r.selectCandidates()
	enforced := r.candidates
	r.candidates = nil
	for i := range all {
		d := &all[i]
		if d.Rule.Mode == rules.Enforce {
			continue
		}
		if run := r.next.limiters[rules.Enforce].runOn(d.Process.ID, d.limitGroups); run != "" {
			d.Label, d.Why = condition.LabelInProgress, run
			r.others = append(r.others, *d)
			continue
		}
		r.candidates = append(r.candidates, *d)
	}
	r.selectCandidates()
	r.candidates = append(enforced, r.candidates...)
	slices.SortFunc(r.candidates, worstFirst)
}
