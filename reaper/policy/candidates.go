package policy

import (
	"fmt"
	"time"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// candidates are the processes that rules act on, or would act on now if limits, the breaker, the
// brake and slots let them. The number of them is published, and the query of fleet.brake counts
// them on all hosts. A map is never changed once it is in a State.
type candidates map[ruleProcess]time.Time // since when without an interruption

// Candidates returns the number of candidates of each rule after the last round.
func (s *State) Candidates() map[string]int {
	counts := map[string]int{}
	for key := range s.candidates {
		counts[key.rule]++
	}
	return counts
}

// isCandidate reports whether the decision is about a candidate. A process on which a remediation
// runs remains one, so that the number does not fall while the brake is asked.
func (d *Decision) isCandidate() bool {
	switch d.Label {
	case LabelAct, LabelDryRun, LabelBudget, LabelBreaker, LabelBrake, condition.LabelInProgress:
		return true // in_progress is checked after everything that is about the leak
	case condition.LabelCooldown:
		return d.past && d.retrying
	}
	return d.blockedBy == LabelBreaker
}

// updateCandidates makes the candidates of the next State. A process that KILL did not end is none:
// no rule tries again.
func (r *round) updateCandidates(decisions []Decision) {
	before := r.next.candidates
	now := candidates{}
	for _, list := range [][]Decision{decisions, r.withheld} {
		for i := range list {
			d := &list[i]
			if d.Process == nil || !d.isCandidate() {
				continue
			}
			if _, unkillable := r.next.limiters[rules.Enforce].unkillable[d.Process.ID]; unkillable {
				continue
			}
			key := ruleProcess{d.Rule.Name, d.Process.ID}
			since, known := before[key]
			if !known {
				since = r.view.Taken
			}
			now[key] = since
		}
	}
	r.next.candidates = now
}

// notPublished returns why the brake is not asked yet about a candidate: it must have been
// published for fleet.brake.settle, so that the query counts the candidates of all hosts. Empty if
// it has been.
func (r *round) notPublished(d *Decision) string {
	brake := r.policy.config.Fleet.Brake
	if brake == nil || r.policy.trustKernelAges {
		return ""
	}
	published := time.Duration(0)
	if since, known := r.next.candidates[ruleProcess{d.Rule.Name, d.Process.ID}]; known {
		published = r.view.Taken.Sub(since)
	}
	if published >= brake.Settle {
		return ""
	}
	return fmt.Sprintf("published as a candidate for %s, %s required before the brake is asked", published, brake.Settle)
}
