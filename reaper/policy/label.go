package policy

import (
	"slices"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// Label names a decision: why a rule acts on a process or not. Each check has its own, so that
// metrics answer why a process was not acted on.
type Label = condition.Label

// Decisions about rounds and rules, before any process is checked.
const (
	unlabelled          Label = ""
	LabelIncompleteScan Label = "incomplete_scan" // sockets of a namespace, or a command line, could not be read
	LabelGap            Label = "gap"             // no View for too long: the reaper, or the host, did not run
	LabelSuspended      Label = "suspended"       // the breaker has tripped, or a step cannot be carried out
)

// Decisions about a process that passed all checks.
const (
	LabelBudget  Label = "budget"  // limits are used up, or it is unknown how much of them
	LabelBreaker Label = "breaker" // the rule selects too many processes at once
	LabelBrake   Label = "brake"   // the brake of the fleet does not allow the action, or is not asked yet
	LabelAct     Label = "act"
	LabelDryRun  Label = "dry_run" // act, by a rule in dry run
)

// Decisions during a remediation.
const (
	LabelGone          Label = "gone"           // the process has ended, or runs another program
	LabelSuperseded    Label = "superseded"     // a reload has removed the rule, or changed it so that it does not allow the step
	LabelRecovered     Label = "recovered"      // the leak ended before a step
	LabelAuditFailed   Label = "audit_failed"   // no record, no action
	LabelGuardDenied   Label = "guard_denied"   // a run step exited with a status other than 0
	LabelGuardFailed   Label = "guard_failed"   // a run step could not be run, or gave no answer
	LabelBrakeFailed   Label = "brake_failed"   // the brake of the fleet gave no usable answer
	LabelSlot          Label = "slot"           // other hosts have all slots of the rule
	LabelSlotFailed    Label = "slot_failed"    // it is unknown whether a slot is held
	LabelRefused       Label = "refused"        // a step must not be applied to this target
	LabelPDB           Label = "pdb"            // a PodDisruptionBudget does not allow an eviction
	LabelClusterFailed Label = "cluster_failed" // the API server of Kubernetes gave no usable answer
)

// labels is the closed set, in the order in which decisions are made.
var labels = func() []Label {
	all := []Label{LabelIncompleteScan, LabelGap, LabelSuspended}
	for _, c := range checks {
		if !slices.Contains(all, c.Label) {
			all = append(all, c.Label)
		}
	}
	return append(all,
		LabelBudget, LabelBreaker, LabelBrake, LabelBrakeFailed, LabelSlot, LabelSlotFailed, LabelPDB, LabelClusterFailed, LabelAct, LabelDryRun, LabelGone, LabelSuperseded, LabelRecovered, LabelAuditFailed, LabelGuardDenied, LabelGuardFailed, LabelRefused)
}()

// Labels returns the closed set of decisions.
func Labels() []Label { return slices.Clone(labels) }

// labelCode is the index of a label in the closed set plus 1; 0 is no label.
type labelCode uint8

var labelCodes = func() map[Label]labelCode {
	codes := map[Label]labelCode{unlabelled: 0}
	for i, l := range labels {
		codes[l] = labelCode(i + 1)
	}
	return codes
}()

// checkCodes are the codes of the labels of checks.
var checkCodes = func() []labelCode {
	codes := make([]labelCode, len(checks))
	for i := range checks {
		codes[i] = labelCodes[checks[i].Label]
	}
	return codes
}()

// acting is the label of a decision to act in each mode.
var acting = [...]Label{rules.DryRun: LabelDryRun, rules.Enforce: LabelAct}
