package reaper

// Label says what became of a rule, or of a rule and a process, in a round. Each stage on the way
// from a View to an action has its own, so that "why did it not kill?" can be answered.
type Label string

// The decisions, in the order of the stages.
const (
	LabelIncompleteScan Label = "incomplete_scan" // sockets of a namespace, or a command line, could not be read
	LabelLowCoverage    Label = "low_coverage"    // too many sockets without a known owner
	LabelGap            Label = "gap"             // nobody looked for too long: the reaper, or the host, stood still
	LabelSuspended      Label = "suspended"       // the breaker has tripped, or the rule was refused at start
	LabelProtected      Label = "protected"       // self, ancestors, pid 1, never-list
	LabelStopped        Label = "stopped"         // the process itself stands still
	LabelPending        Label = "pending"         // not enough evidence, or not for long enough
	LabelEnoughFDs      Label = "enough_fds"      // when.fds is not reached
	LabelPeerShare      Label = "peer_share"      // one network gives too much of the inbound evidence
	LabelInProgress     Label = "in_progress"     // a ladder is on the process, or on its group
	LabelCooldown       Label = "cooldown"        // something was done to the group not long ago
	LabelBudget         Label = "budget"          // limits are used up, or nobody knows how far
	LabelBreaker        Label = "breaker"         // the rule hits too many at once
	LabelAct            Label = "act"
	LabelDryRun         Label = "dry_run"      // act, by a rule that only says what it would do
	LabelGone           Label = "gone"         // the process had ended before the first step
	LabelAuditFailed    Label = "audit_failed" // no record, no action
	LabelGuardDenied    Label = "guard_denied" // a run step ended with another status than 0
	LabelGuardFailed    Label = "guard_failed" // a run step could not be run, or took too long
	LabelRecovered      Label = "recovered"    // the leak had gone before a step
)

// Labels is the closed set of decisions.
var Labels = []Label{
	LabelAct, LabelDryRun, LabelIncompleteScan, LabelLowCoverage, LabelGap, LabelSuspended, LabelProtected, LabelStopped,
	LabelPending, LabelEnoughFDs, LabelPeerShare, LabelInProgress, LabelCooldown, LabelBudget, LabelBreaker,
	LabelGone, LabelRecovered, LabelAuditFailed, LabelGuardDenied, LabelGuardFailed,
}

// acting is what a decision to act is called in each mode.
var acting = [...]Label{DryRun: LabelDryRun, Enforce: LabelAct}
