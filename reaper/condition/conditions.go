package condition

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// When holds the values of the keys of all conditions. A new key adds its value here.
type When struct {
	Sockets   int                // minimum number of evidence sockets
	Age       time.Duration      // minimum time since the end, and without traffic, of each; observed in a rule that ends processes
	For       time.Duration      // minimum time with enough evidence
	Direction Direction          // of the sockets that count
	FDs       Threshold          // minimum number of open descriptors
	TimeLeft  time.Duration      // maximum time until the descriptors run out; 0: no limit
	PeerShare float64            // maximum share of the inbound evidence from one /24 (/64), 0 to 1; 0: no limit
	States    closewait.StateSet // of the sockets that count
	Window    Window
}

// All are the conditions in the order in which they are checked. The first one that does not hold
// names the decision. Keys are described and listed in the same order.
var All = []Condition{
	protected,
	stopped,
	sockets,
	age,
	forTime,
	direction,
	fds,
	timeLeft,
	peerShare,
	states,
	coverage,
	inProgress,
	cooldown,
	window,
	supervised,
}

// Keys returns the keys under `when`.
func Keys() []string { return keys(false) }

// RuleKeys returns the keys of conditions beside `when`.
func RuleKeys() []string { return keys(true) }

func keys(ofRule bool) []string {
	var keys []string
	for i := range All {
		if c := &All[i]; c.Key != "" && c.OfRule == ofRule {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

// Exclusions returns the conditions that exclude sockets from the evidence.
func Exclusions() []Condition {
	return slices.DeleteFunc(slices.Clone(All), func(c Condition) bool { return c.Excludes == nil })
}

// Checks returns the conditions that have a check.
func Checks() []Condition {
	return slices.DeleteFunc(slices.Clone(All), func(c Condition) bool { return c.Name == "" })
}
