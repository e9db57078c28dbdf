// Package step holds the remedies of a rule. Each kind is one type in a file of its own, which
// reads its options, says what it needs and applies it to a process. Kinds lists them.
package step

import (
	"context"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

// Kind is a kind of step.
type Kind struct {
	Name string   // in the rules file and in metrics
	Keys []string // options
	Read func(*document.Section) Step
}

// Kinds are all kinds of step, mildest first.
var Kinds = []Kind{
	evidence,
	raiseNoFile,
	run,
	destroy,
	shutdown,
	threadDump,
	restartUnit,
	evict,
	signal,
}

// Names returns the names of all kinds.
func Names() []string {
	names := make([]string, len(Kinds))
	for i := range Kinds {
		names[i] = Kinds[i].Name
	}
	return names
}

// KindOf returns the kind of that name; false if there is none.
func KindOf(name string) (Kind, bool) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Step is one remedy with its options.
type Step interface {
	Kind() string
	// String names the step with its options in the log, in the audit file and on the page. It has
	// nothing that is secret.
	String() string
	Traits() Traits
	// Permitted returns why the exporter cannot apply the step to a process of another user.
	Permitted(Rights) error
	// Apply applies the step to one process.
	Apply(context.Context, *Target) (Result, error)
}

// Traits are the properties of a step that decide when and to whom it is applied.
type Traits struct {
	EndsProcess bool // it can end the process
	RequestsEnd bool // it asks the process to end
	Kills       bool // it cannot be handled or ignored, so later steps are never reached
	Guards      bool // it decides whether later steps run
	Observes    bool // it is no remedy: it changes nothing, in dry run it is applied too, and its failure stops nothing
	NeedsLife   bool // it is useless after a step that requests the end of the process
	AppliesOnce bool // to one target, even if several processes hold the sockets

	// Signal is the signal by which the step ends the process, such as TERM; empty if it ends none,
	// or starts it again itself.
	Signal string

	Wait time.Duration // for the process to end; 0: one interval between rounds
}

// Target is a process that a step is applied to.
type Target struct {
	Process  ProcessHandle
	Evidence []*closewait.Socket
	Executor Executor
	HasSlots bool // the rule acts on a limited number of hosts at the same time
	// Guard describes the remediation to a command that must allow the next step.
	Guard func() (closewait.Guard, error)
	// Case describes the remediation to whoever writes down evidence.
	Case func() (closewait.EvidenceCase, error)
	// ProtectsUnit returns why no rule may act on a unit of that name; empty if a rule may.
	ProtectsUnit func(name string) string
}

// Result is what a step has done.
type Result struct {
	Detail    string   // for the log, the audit file and the page
	Idle      bool     // there was nothing to do
	Arguments []string // of a guard, for the log and the audit file only, if the rule says so
	Output    string   // likewise
	File      string   // that the step has written
	Cut       bool     // connections were ended, so that the sockets have left their state
	Signalled bool
	Evicted   bool // the end of the process was asked for, even if an error follows
	Raised    bool // the limit of descriptors was raised
	Begun     bool // something was done, even if the step failed
	Restarted bool // the service of the process was restarted
	Down      bool // it was stopped, and did not come up
}
