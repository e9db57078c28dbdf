// Package condition holds what must be true before a rule acts on a process: the keys under `when`,
// and the checks that apply to every rule. Each is one Condition in a file of its own; All lists
// them in the order in which they are checked.
package condition

import (
	"net/netip"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

// Label names a decision in metrics, logs and documents.
type Label string

// Condition is a key of a rule, a check, or both. The key stands under `when` or, with OfRule,
// beside it. A key without a check decides which sockets count as evidence. A check without a key
// applies to every rule.
type Condition struct {
	Key      string // empty for a check that every rule has
	OfRule   bool   // Read and Warn get the section of the rule, not the one of `when`
	Read     func(*document.Section, *When)
	Describe func(*When) string               // the value as in a rules file; empty if it is not given
	Warn     func(*document.Section, Context) // also refuses what the rest of the rule does not allow

	// Excludes reports whether a socket is no evidence; nil if the condition excludes none by itself.
	// Excluded says why, such as "of another or unknown direction".
	Excludes func(*When, *closewait.Socket) bool
	Excluded string

	Name    string // of the check, for people; empty for a key without a check
	Label   Label  // of the decision if the check does not pass
	Message func(*When, *Findings) string
	Numbers bool // the message has numbers that justify an action

	// DecisionOnly says that the check is not repeated before each step: it is about the time before
	// the first one, or about evidence, which is then verified socket by socket.
	DecisionOnly bool

	// Blocks says that the check is not about the leak. A leak that it keeps from a remedy is past all
	// conditions if the checks that do not block hold.
	Blocks bool

	// A check has exactly one of the two. OfProcess depends on nothing but the process: the other
	// holders of a socket must pass it too before they are ended together.
	OfProcess func(*When, *closewait.Process) bool
	Holds     func(Subject) bool
}

// Check reports whether the condition holds, and records its numbers in the findings of s.
func (c *Condition) Check(s Subject) bool {
	if c.OfProcess != nil {
		return c.OfProcess(s.When(), s.Findings().Process)
	}
	return c.Holds(s)
}

// Subject is a process under a rule in one round. Package policy implements it.
type Subject interface {
	When() *When
	Findings() *Findings
	// Protection returns why no rule may act on the process; empty if a rule may.
	Protection() string
	// EnoughEvidence reports whether there is enough evidence. It need not find all of it.
	EnoughEvidence() bool
	// EnoughFor returns for how long there has been enough evidence; false if there is not enough.
	EnoughFor() (time.Duration, bool)
	// Evidence returns all sockets that are evidence.
	Evidence() []*closewait.Socket
	// KeepOutbound removes all but the outbound sockets from the evidence.
	KeepOutbound()
	TrustedPeers() []netip.Prefix
	// Coverage returns the share, 0 to 1, of the sockets that could be evidence whose owner is known.
	Coverage() float64
	// ActiveRun returns which remediation runs on the process or its group; empty if none does.
	ActiveRun() string
	// Cooldown returns the time left of the cooldown of the rule and the group of the process.
	Cooldown() (left time.Duration, relapses int)
	// Unsupervised returns why the process may stay down after a step of the rule that ends it; empty
	// if it does not, and then by says why in words.
	Unsupervised() (why, by string)
}

// Context is the part of a rule that Warn may need besides its section.
type Context struct {
	When                 *When
	CanEnd               bool // some step can end the process
	Ends                 bool // the same, and no guard runs before that step
	AcceptsRemoteTrigger bool
	Interval             time.Duration // between two rounds; 0: not known
	NotGo                bool          // the rule is about programs in another language, such as Java
}
