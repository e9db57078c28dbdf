package condition

import (
	"net/netip"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// Findings are the facts and numbers that a decision is based on. Checks after the first one that
// does not hold add none.
type Findings struct {
	Process    *closewait.Process // nil in a decision about a rule as a whole
	Taken      time.Time          // of the View
	Why        string             // a reason without numbers: why protected, suspended, unreadable
	Held       int                // sockets of the process, ended ones, and others if the rule counts their state
	Counting   int                // sockets that are evidence
	Closed     int                // sockets that are evidence and closed
	Excluded   ExclusionCounts
	Age, Quiet time.Duration    // age, as the rule counts it, of the youngest evidence; time since the last traffic on any evidence
	Enough     bool             // there is enough evidence
	HeldFor    time.Duration    // for how long there has been enough evidence
	Peers      *PeerShare       // nil: not checked
	FDGrowth   closewait.Growth // of its open descriptors
	Coverage   float64          // share of the sockets that could be evidence whose owner is known; 0: not checked
	Cooldown   time.Duration    // left
	Relapses   int              // before this decision
	CanEnd     bool             // some step of the rule can end the process
	BudgetLeft int              // actions, before this decision
	Supervisor string           // what starts the process again, in words
	Due        int              // groups that the rule would have acted on, if its breaker trips
	Healthy    int              // groups that it matches and that have too few sockets, if its breaker trips
}

// ExclusionCounts counts the sockets of a process that are not evidence, each under the first
// reason.
type ExclusionCounts struct {
	Young      int32 // not old enough
	Moving     int32 // traffic too recently
	Once       int32 // not seen in two rounds
	Unaccepted int32
	Handed     int32 // another user has opened it
	Relayed    int32 // half of a connection that the process relays
	Ignored    int32
	Foreign    int32       // another holder is of another service, or unknown
	Shared     int32       // another holder cannot be ended together with this process
	State      int32       // in no state of when.states
	Conditions []Exclusion // by conditions with Excludes
	// ForeignHolder describes one of the other holders that Foreign counts.
	ForeignHolder string
}

// Exclusion counts the sockets that are not evidence for one reason.
type Exclusion struct {
	Why   string // such as Condition.Excluded
	Count int32
}

// By returns the counter of a condition.
func (e *ExclusionCounts) By(c *Condition) *int32 {
	i := slices.IndexFunc(e.Conditions, func(by Exclusion) bool { return by.Why == c.Excluded })
	if i < 0 {
		i = len(e.Conditions)
		e.Conditions = append(e.Conditions, Exclusion{Why: c.Excluded})
	}
	return &e.Conditions[i].Count
}

// PeerShare is the share of one network in the evidence that is inbound or of unknown direction.
type PeerShare struct {
	Top     netip.Prefix // the /24 or /64 with the most sockets
	Sockets int          // of that network
	Inbound int          // of all networks, those of unknown direction too
}

// ratio is 0 to 1; 0 without inbound evidence.
func (s *PeerShare) ratio() float64 { return float64(s.Sockets) / float64(max(s.Inbound, 1)) }

// short rounds a duration for people.
func short(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
