package reaper

import (
	"net/netip"
	"regexp"
	"time"

	"closewait_exporter/closewait"
)

// Config is a rules file that has been read and found valid.
type Config struct {
	TrustedPeers []netip.Prefix // load balancers: exempt from When.PeerShare
	Protect      Protect
	Limits       Limits
	Interval     time.Duration // between two rounds
	Rules        []Rule        // in the order of the file
}

// Protect names processes that are never acted upon, on top of the built-in list.
type Protect struct {
	Exe, Unit []*regexp.Regexp // anchored
}

// Limits bound how often something is done on this host, by all rules together.
type Limits struct {
	Actions int           // processes acted upon
	Per     time.Duration // within this time
}

// Mode tells whether a rule acts.
type Mode uint8

// A rule only acts in mode Enforce, and only when the exporter was started with --reaper.enforce.
const (
	DryRun Mode = iota
	Enforce
)

func (m Mode) String() string { return [...]string{"dry_run", "enforce"}[m] }

// Rule says which processes leak and what is to be done about it.
type Rule struct {
	Name                string
	Mode                Mode
	Match               Match
	Ignore              Ignore
	When                When
	Steps               []Step
	Cooldown            time.Duration // per group, doubled at each relapse
	AcceptRemoteTrigger bool          // the author knows that any client can trigger the rule
}

// Match selects processes. All expressions that are given must match; they are anchored.
type Match struct {
	Exe, Command, Unit, User, Container *regexp.Regexp // nil: not given

	memo *memo // makes Matches cheap; nil in a Match that was not read from a file
}

// Ignore selects sockets that never count as evidence.
type Ignore struct {
	Remote    []Endpoint
	LocalPort []uint16
}

// Endpoint is a set of remote addresses, all ports of them or one.
type Endpoint struct {
	Prefix netip.Prefix // v4-mapped addresses are compared as IPv4
	Port   uint16       // 0: any
}

// When says from when on a process counts as leaking.
type When struct {
	Sockets   int           // at least so many evidence sockets
	Age       time.Duration // each at least so old, and quiet for so long
	For       time.Duration // and that has been so for so long
	FDs       Threshold     // and at least so many descriptors open
	Direction Direction     // of the sockets that count
	PeerShare float64       // share of inbound evidence that one /24 (/64) gives at most, 0 to 1; 0: not given

	IncludeDefunct bool // sockets that are defunct count as those in CLOSE_WAIT do
}

// Threshold is a number of descriptors, or a share of the soft limit. The zero value is none.
type Threshold struct {
	Count uint64
	Ratio float64 // 0 to 1
}

// Direction is a set of socket directions.
type Direction uint8

// The directions of When.
const (
	AnyDirection Direction = iota
	InboundOnly
	OutboundOnly
)

func (d Direction) String() string { return [...]string{"any", "inbound", "outbound"}[d] }

// Wants tells whether sockets of direction d count.
func (d Direction) Wants(other closewait.Direction) bool {
	return d == AnyDirection || (d == InboundOnly) == (other == closewait.Inbound)
}

// Step is one remedy. Kind says which of the other fields mean something.
type Step struct {
	Kind    StepKind
	Raise   NoFile        // raise_nofile
	Command []string      // run
	Timeout time.Duration // run
	Signal  string        // signal: name without SIG, such as TERM
	Wait    time.Duration // signal: for the process to end
}

// NoFile is the target of raise_nofile: the hard limit, or a number.
type NoFile struct {
	Hard bool
	To   uint64
}

// StepKind names a remedy as in the rules file and in metrics.
type StepKind string

// The remedies, mildest first.
const (
	StepRaiseNoFile StepKind = "raise_nofile" // prlimit: buy time
	StepRun         StepKind = "run"          // guard: anything but exit status 0 stops the ladder
	StepDestroy     StepKind = "destroy"      // SOCK_DESTROY of the evidence sockets
	StepShutdown    StepKind = "shutdown"     // shutdown(2) of the evidence sockets
	StepThreadDump  StepKind = "thread_dump"  // SIGQUIT to a verified JVM
	StepSignal      StepKind = "signal"
)

// StepKinds are all remedies, mildest first.
var StepKinds = []StepKind{StepRaiseNoFile, StepRun, StepDestroy, StepShutdown, StepThreadDump, StepSignal}
