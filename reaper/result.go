package reaper

import "closewait_exporter/reaper/policy"

// Result says how a remediation ended. One of a rule in dry run has none: it did nothing.
type Result string

// The results.
const (
	recovered  Result = "recovered"  // the leak is gone and its descriptors are closed, and no signal ended the process
	terminated Result = "terminated" // the process ended after a signal other than KILL
	killed     Result = "killed"     // the process ended after KILL
	restarted  Result = "restarted"  // the service of the process was restarted, and is active
	down       Result = "down"       // the service of the process was stopped, and did not come up
	evicted    Result = "evicted"    // the process ended after its pod was evicted
	unkillable Result = "unkillable" // the process did not end after KILL: it is blocked in the kernel
	aborted    Result = "aborted"    // a guard or an error stopped it, or all steps had no effect
)

// Results has all results.
var Results = []Result{recovered, terminated, killed, restarted, evicted, unkillable, down, aborted}

// outcome is how a remediation ended.
type outcome struct {
	Result               // empty in dry run
	label   policy.Label // a decision made during the remediation; empty if there was none
	reason  string
	tried   bool // a step was tried
	sockets int  // released
	fds     uint64
}

// stop is why a remediation runs no further step.
type stop struct {
	result Result
	label  policy.Label // may be empty
	reason string
}
