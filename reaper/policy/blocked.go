package policy

import (
	"iter"
	"maps"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// BlockedByDirection stands for a leak that would be past all conditions if the direction of its
// sockets were known. The decision about its process is pending.
const BlockedByDirection Label = "unknown_direction"

// blockers is the closed set of what keeps a leak that is past all conditions from a remedy, in the
// order in which decisions are made. A remediation that runs, or that started in this round, keeps
// it from nothing.
var blockers = func() []Label {
	all := []Label{LabelIncompleteScan, LabelSuspended}
	for i := range checks {
		if checks[i].Blocks {
			all = append(all, checks[i].Label)
		}
	}
	return append(all, BlockedByDirection, LabelBudget, LabelBreaker, LabelBrake, LabelBrakeFailed, LabelSlot, LabelSlotFailed, LabelPDB, LabelClusterFailed, LabelAuditFailed, LabelGuardDenied, LabelGuardFailed, LabelRefused)
}()

// Blockers returns the closed set of State.Blocked: decisions, and BlockedByDirection.
func Blockers() []Label { return slices.Clone(blockers) }

// blockedLeak is a leak of a process that is past all conditions of a rule.
type blockedLeak struct {
	since time.Time // it has been kept from a remedy since then, whatever by
	by    Label     // at present; empty while a remediation runs, or starts
}

// blockedLeaks are the blocked leaks after a round. A map is never changed once it is in a State.
type blockedLeaks struct {
	at    time.Time // the last round
	leaks map[ruleProcess]blockedLeak
}

// Blocked returns for how long, until the last round, the leak that has been kept from a remedy for
// longest has been kept from it, by rule and by what keeps it at present. It has no entry where no
// leak is blocked.
func (s *State) Blocked() map[string]map[Label]time.Duration {
	blocked := map[string]map[Label]time.Duration{}
	for key, leak := range s.blocked.leaks {
		if leak.by == unlabelled {
			continue
		}
		if blocked[key.rule] == nil {
			blocked[key.rule] = map[Label]time.Duration{}
		}
		blocked[key.rule][leak.by] = max(blocked[key.rule][leak.by], s.blocked.at.Sub(leak.since))
	}
	return blocked
}

// blocker returns what keeps the leak of a decision from a remedy; empty if nothing does, or if the
// leak is not past all conditions. A cooldown in dry run keeps it from nothing, because no remedy
// was tried. The cooldown after a remediation that did nothing is due to what stopped that one.
func (d *Decision) blocker() Label {
	switch {
	case d.blockedBy != unlabelled:
		return d.blockedBy
	case !d.past || !slices.Contains(blockers, d.Label):
		return unlabelled
	case d.Label != condition.LabelCooldown:
		return d.Label
	case d.retryAfter != unlabelled:
		return d.retryAfter
	case d.Rule.Mode == rules.DryRun:
		return unlabelled
	}
	return d.Label
}

// updateBlocked makes the blocked leaks of the next State. All others are forgotten: decisions has
// one for each process that a rule matches, and withheld those about rules that are suspended.
func (r *round) updateBlocked(decisions []Decision) {
	before := r.next.blocked.leaks
	now := blockedLeaks{r.view.Taken, map[ruleProcess]blockedLeak{}}
	for _, list := range [][]Decision{decisions, r.withheld} {
		for i := range list {
			d := &list[i]
			if d.Process == nil {
				continue
			}
			key, by := ruleProcess{d.Rule.Name, d.Process.ID}, d.blocker()
			leak, known := before[key]
			switch {
			case by != unlabelled && !known:
				leak.since = r.view.Taken.Add(d.blockedAfter)
			case by == unlabelled && (!known || !d.Acts() && d.Label != condition.LabelInProgress):
				continue
			}
			leak.by = by
			now.leaks[key] = leak
		}
	}
	r.next.blocked = now
}

// through returns the blocked leaks after a round that did not count. What happens then to leaks is
// unknown, so they remain; after a gap no leak is past its conditions.
func (b blockedLeaks) through(label Label, at time.Time) blockedLeaks {
	if label == LabelGap {
		return blockedLeaks{at: at}
	}
	leaks := make(map[ruleProcess]blockedLeak, len(b.leaks))
	for key, leak := range b.leaks {
		if leak.by != unlabelled {
			leak.by = label
		}
		leaks[key] = leak
	}
	return blockedLeaks{at, leaks}
}

// withhold returns the blocked leaks after decisions to act were taken back.
func (b blockedLeaks) withhold(decisions []Decision) blockedLeaks {
	leaks := maps.Clone(b.leaks)
	for i := range decisions {
		d := &decisions[i]
		if d.Process == nil || d.Label != LabelBudget {
			continue
		}
		key := ruleProcess{d.Rule.Name, d.Process.ID}
		leak, known := leaks[key]
		if !known {
			leak.since = d.Taken
		}
		leak.by = LabelBudget
		leaks[key] = leak
	}
	return blockedLeaks{b.at, leaks}
}

// remedied returns the blocked leaks without those of processes that were acted on.
func (b blockedLeaks) remedied(targets []closewait.ProcessID) blockedLeaks {
	leaks := maps.Clone(b.leaks)
	maps.DeleteFunc(leaks, func(key ruleProcess, _ blockedLeak) bool { return slices.Contains(targets, key.id) })
	return blockedLeaks{b.at, leaks}
}

// ifDirectionKnown finds out whether the leak would be past all conditions if its sockets had the
// direction that the rule wants. There is no record of how long that has been so, so when.for is
// counted from now.
func (r *round) ifDirectionKnown(e *evaluation) (blockedBy Label, after time.Duration) {
	tooFew := e.complete && len(e.evidence) < e.rule.When.MinSockets()
	if e.rule.When.Direction == condition.AnyDirection || !tooFew || !anyUnknownDirection(e.candidateSockets()) {
		return unlabelled, 0
	}
	assumed := &evaluation{
		round: r, processState: e.processState, rule: e.rule, index: e.index, d: r.decision(e.processState, e.index), directionAssumed: true,
	}
	if assumed.check(); !assumed.d.past {
		return unlabelled, 0
	}
	return BlockedByDirection, e.rule.When.For
}

// anyUnknownDirection reports whether the direction of some socket is unknown.
func anyUnknownDirection(sockets iter.Seq[*closewait.Socket]) bool {
	for s := range sockets {
		if hasUnknownDirection(s) {
			return true
		}
	}
	return false
}

func hasUnknownDirection(s *closewait.Socket) bool { return s.Direction == closewait.UnknownDirection }
