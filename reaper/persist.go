package reaper

import (
	"slices"
	"time"

	"github.com/go-kit/log/level"

	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

// restore reads the past actions from the state file, and writes the file at once, to find out
// before the first action whether that is possible.
func (r *Reaper) restore(now time.Time) {
	if r.options.StateFile == nil {
		return
	}
	state, err := r.options.StateFile.load(r.state, now)
	if err != nil {
		per := r.policy.Limits().Per
		level.Error(r.options.Logger).Log("msg", "Cannot read the state file, no action until limits.per has passed", "per", per, "err", err)
		state = r.state.Freeze(now.Add(per))
	}
	r.state = state
	r.unsaved = true
	r.save(now)
}

// commit saves decisions to act before they are carried out: their actions and cooldowns are
// reserved from then on. If that fails, they are withheld.
func (r *Reaper) commit(decisions []policy.Decision, before, after policy.State, now time.Time) {
	r.state = after
	acts := slices.ContainsFunc(decisions, func(d policy.Decision) bool { return d.Label == policy.LabelAct })
	tripped := slices.ContainsFunc(decisions, func(d policy.Decision) bool {
		return d.Label == policy.LabelBreaker && d.Rule.Mode == rules.Enforce
	})
	r.unsaved = r.unsaved || acts || tripped
	if !r.save(now) && acts {
		r.state = after.Withhold(decisions, &before, now.Add(r.policy.Limits().Per))
	}
}

// save writes the state file if it is out of date, and reports whether it is up to date. If writing
// fails there is no budget until limits.per has passed: after a restart the actions would be
// unknown.
func (r *Reaper) save(now time.Time) bool {
	if r.options.StateFile == nil || !r.unsaved || r.release == nil {
		return true
	}
	err := r.options.StateFile.save(&r.state, now)
	if err != nil {
		r.state = r.state.Freeze(now.Add(r.policy.Limits().Per))
	}
	switch {
	case err != nil && r.saveErr == nil:
		level.Error(r.options.Logger).Log("msg", "Cannot write the state file, no action until limits.per has passed", "err", err)
	case err == nil && r.saveErr != nil:
		level.Warn(r.options.Logger).Log("msg", "State file written again", "budget_left", r.state.BudgetLeft(rules.Enforce, now, r.policy.Limits()))
	}
	r.unsaved, r.saveErr = err != nil, err
	return err == nil
}
