package reaper

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"closewait_exporter/closewait"
)

// Decision is what a round made of a rule and a process; of a rule alone where Process is nil.
type Decision struct {
	Rule     *Rule // its Mode is the one in force
	Label    Label
	Process  *closewait.Process
	Group    string
	Evidence []*closewait.Socket  // oldest first; of decisions to act alone
	With     []*closewait.Process // the other holders of evidence, which a step that ends a process ends too
	Changed  bool                 // it was another one in the last round
	Findings

	stage   int // where it ended; len(stages) for all that got through
	opinion *opinion
}

// Findings are the numbers that a decision rests on, as far as the stages got.
type Findings struct {
	Taken      time.Time // of the View
	Why        string    // what no number says: why protected, suspended, unreadable
	Held       int       // sockets of the process, in CLOSE_WAIT or defunct
	Counting   int       // those of them that are evidence
	Defunct    int       // those of the evidence that are defunct
	Discounted Discounted
	Age, Quiet time.Duration // of the youngest evidence, of the evidence that moved last
	HeldFor    time.Duration // since when there is enough evidence
	Peers      *PeerShare    // nil: not asked
	Cooldown   time.Duration // left
	Relapses   int           // before this decision
	BudgetLeft int           // actions, before this decision
	Victims    int           // of the rule in this round
	Matched    int           // processes that the rule matches
}

// Discounted counts the sockets of a process that are no evidence, each under the first reason.
type Discounted struct {
	Young      int32 // not old enough
	Moving     int32 // not quiet for long enough
	Once       int32 // not seen in two rounds
	Unaccepted int32
	Direction  int32 // not the one asked for
	Ignored    int32
	Foreign    int32 // held by another group too, or by nobody knows whom
	Shared     int32 // held by a process too that cannot be ended together with this one
	Defunct    int32 // where the rule does not say include_defunct
}

// PeerShare tells how much of the inbound evidence comes from one network.
type PeerShare struct {
	Top     netip.Prefix // the /24 or /64 that gives most
	Sockets int          // so many
	Inbound int          // of so many
}

// Ratio is 0 to 1; 0 where nothing is inbound.
func (s *PeerShare) Ratio() float64 { return float64(s.Sockets) / float64(max(s.Inbound, 1)) }

// Acts tells whether something is to be done, or would be in dry run.
func (d *Decision) Acts() bool { return d.Label == LabelAct || d.Label == LabelDryRun }

// ID names a decision to act in the log and in the audit file.
func (d *Decision) ID() string {
	return fmt.Sprintf("%s-%d-%s", d.Rule.Name, d.Process.ID.PID, strconv.FormatInt(d.Taken.UnixMilli(), 36))
}

// Victims are the processes that a step ends: the one decided upon first, then those that hold
// the same sockets.
func (d *Decision) victims() []*closewait.Process {
	return append([]*closewait.Process{d.Process}, d.With...)
}
