package reaper

// Label says what became of a rule, or of a rule and a process, in a round. Each stage on the way
// from a View to an action has its own, so that "why did it not kill?" can be answered.
type Label uint8

// The decisions, in the order of the stages. The zero Label is none.
const (
	unlabelled          Label = iota
	LabelIncompleteScan       // sockets of a namespace, or a command line, could not be read
	LabelLowCoverage          // too many sockets without a known owner
	LabelGap                  // nobody looked for too long: the reaper, or the host, stood still
	LabelSuspended            // the breaker has tripped, or the rule cannot be carried out
	LabelProtected            // self, ancestors, pid 1, never-list
	LabelStopped              // the process itself stands still
	LabelPending              // not enough evidence, or not for long enough
	LabelEnoughFDs            // when.fds is not reached
	LabelPeerShare            // one network gives too much of the inbound evidence
	LabelInProgress           // a ladder is on the process, or on its group
	LabelCooldown             // something was done to the group not long ago
	LabelBudget               // limits are used up, or nobody knows how far
	LabelBreaker              // the rule hits too many at once
	LabelAct
	LabelDryRun      // act, by a rule that only says what it would do
	LabelGone        // the process has ended, or runs another program
	LabelRecovered   // the leak had gone before a step
	LabelAuditFailed // no record, no action
	LabelGuardDenied // a run step ended with another status than 0
	LabelGuardFailed // a run step could not be run, or gave no answer
	labels
)

func (l Label) String() string {
	return [labels]string{
		"", "incomplete_scan", "low_coverage", "gap", "suspended", "protected", "stopped", "pending", "enough_fds", "peer_share",
		"in_progress", "cooldown", "budget", "breaker", "act", "dry_run", "gone", "recovered", "audit_failed", "guard_denied", "guard_failed",
	}[l]
}

// Labels returns the closed set of decisions.
func Labels() []Label {
	all := make([]Label, 0, labels-1)
	for l := unlabelled + 1; l < labels; l++ {
		all = append(all, l)
	}
	return all
}

// acting is what a decision to act is called in each mode.
var acting = [...]Label{DryRun: LabelDryRun, Enforce: LabelAct}
