package reaper

import (
	"time"

	"github.com/go-kit/log/level"
)

// restore takes up what was done before this start. The file is written at once, so that one that
// cannot be written is found out before something is done.
func (r *Reaper) restore(now time.Time) {
	if r.options.StateFile == nil {
		return
	}
	done, err := r.options.StateFile.load(now)
	if err != nil {
		level.Error(r.options.Logger).Log("msg", "nothing is done for limits.per", "per", r.policy.config.Limits.Per, "err", err)
		done = leash{frozen: now.Add(r.policy.config.Limits.Per)}
	}
	r.state.leashes[Enforce] = done
	r.unsaved = true
	r.keep(now)
}

// commit writes down what is to be done before it is. When that fails it is not done.
func (r *Reaper) commit(decisions []Decision, before, after State, now time.Time) {
	r.state = after
	acts := enforced(decisions)
	r.unsaved = r.unsaved || acts
	if !r.keep(now) && acts {
		r.state = after.withhold(decisions, before.leashes[Enforce], r.state.leashes[Enforce].frozen)
	}
}

// keep writes the state file where it is out of date, and tells whether it is not any more. When that
// fails there is no budget for as long as limits.per: a restart would find nothing of what is done.
func (r *Reaper) keep(now time.Time) bool {
	if r.options.StateFile == nil || !r.unsaved || r.release == nil {
		return true
	}
	err := r.options.StateFile.save(&r.state.leashes[Enforce], now)
	if err != nil {
		r.state.leashes[Enforce].frozen = now.Add(r.policy.config.Limits.Per)
	}
	if (err == nil) != (r.saving == nil) {
		level.Error(r.options.Logger).Log("msg", "state file", "err", err)
	}
	r.unsaved, r.saving = err != nil, err
	return err == nil
}

func enforced(decisions []Decision) bool {
	for i := range decisions {
		if decisions[i].Label == LabelAct {
			return true
		}
	}
	return false
}

// withhold takes back the decisions to act.
func (s State) withhold(decisions []Decision, before leash, frozen time.Time) State {
	before.frozen = frozen
	s.leashes[Enforce] = before
	for i := range decisions {
		if d := &decisions[i]; d.Label == LabelAct {
			d.Label, d.Why = LabelBudget, "the state file cannot be written, so it would not be known what was done"
			d.opinion.label = LabelBudget
		}
	}
	return s
}
