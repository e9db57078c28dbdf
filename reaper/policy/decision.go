package policy

import (
	"fmt"
	"strconv"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// Decision is the result of a round for a rule and a process; for a rule alone if Process is nil.
type Decision struct {
	Rule     *rules.Rule // its Mode is the one in force
	Label    Label
	Group    string
	Evidence []*closewait.Socket  // oldest first; only of decisions to act
	With     []*closewait.Process // the other holders of evidence, which are ended too if a step ends the process
	Changed  bool                 // the last round decided something else
	condition.Findings

	check       int           // index of the check that did not hold; len(checks) if all held
	limitGroups []string      // only of decisions about a process that passed all checks
	dueBefore   time.Time     // when the rule would have acted on the group last, before this round
	attempts    time.Duration // the pause after remediations that did nothing
	retrying    bool          // the next attempt is later because remediations did nothing
	state       *ruleState
	unasked     []*closewait.Process // whose Supervision is not in the State

	past         bool          // the leak is past all conditions, whether or not a check blocks it
	retryAfter   Label         // what stopped the last remediation, if that is why there is a cooldown
	blockedBy    Label         // keeps the leak from a remedy, other than Label
	blockedAfter time.Duration // the leak is past all conditions only after this time
}

func (d *Decision) ruleGroup() ruleGroup { return ruleGroup{d.Rule.Name, d.limitGroups[0]} }

// Acts reports whether the rule acts, or would act in dry run.
func (d *Decision) Acts() bool { return d.Label == LabelAct || d.Label == LabelDryRun }

// ID names a decision to act in the log and in the audit file.
func (d *Decision) ID() string {
	return fmt.Sprintf("%s-%d-%s", d.Rule.Name, d.Process.ID.PID, strconv.FormatInt(d.Taken.UnixMilli(), 36))
}

// TargetProcesses are the processes that a step ends: the one decided about first, then the others
// that hold the same sockets.
func (d *Decision) TargetProcesses() []*closewait.Process {
	return append([]*closewait.Process{d.Process}, d.With...)
}

// Cost is the number of actions that the decision takes from the budget, one per target.
func (d *Decision) Cost() int { return 1 + len(d.With) }

func (d *Decision) code() labelCode {
	if d.check < len(checks) && d.Label == checks[d.check].Label {
		return checkCodes[d.check]
	}
	return labelCodes[d.Label]
}
