package reaper

// Result is how a ladder ended on which some step was done.
type Result string

// The results.
const (
	Recovered  Result = "recovered"  // the leak is gone and its descriptors are free, and the process lives or ended by itself
	Terminated Result = "terminated" // it ended after a signal other than KILL
	Killed     Result = "killed"     // it ended after KILL
	Unkillable Result = "unkillable" // it did not: the kernel does not let go of it
	Aborted    Result = "aborted"    // stopped on the way, or all steps were done in vain
)

// Results is the closed set.
var Results = []Result{Recovered, Terminated, Killed, Unkillable, Aborted}

// outcome is how a ladder ended.
type outcome struct {
	Result
	label   Label // a decision of the ladder's own, to be counted; may be empty
	reason  string
	touched bool // a step was tried
	sockets int  // that came free
	fds     uint64
}

// stop is why a ladder goes no further.
type stop struct {
	result Result
	label  Label
	reason string
}
