package rules

import (
	"net/netip"
	"regexp"
	"slices"
	"time"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/step"
)

// Config is the content of a valid rules file.
type Config struct {
	TrustedPeers []netip.Prefix // load balancers: exempt from when.peer_share
	Protect      Protect
	Limits       Limits
	Interval     time.Duration // between two rounds
	Fleet        Fleet
	Rules        []Rule // in the order of the file
}

// Protect names processes that no rule ever acts on, in addition to the built-in list.
type Protect struct {
	Exe, Unit, User, Group []*regexp.Regexp // anchored
}

// Limits are the maximum number of actions on this host, of all rules together.
type Limits struct {
	Actions int           // processes acted on
	Per     time.Duration // within this time
}

// Mode says whether a rule acts.
type Mode uint8

// A rule only acts in mode Enforce, and only if the exporter was started with --reaper.enforce.
const (
	DryRun Mode = iota
	Enforce
)

func (m Mode) String() string { return [...]string{"dry_run", "enforce"}[m] }

// Rule says which processes leak and what to do about it.
type Rule struct {
	Name                string
	Mode                Mode
	Match               Match
	Ignore              Ignore
	When                condition.When
	Steps               []step.Step   // the remediation
	Cooldown            time.Duration // per group, doubled at each relapse
	AcceptRemoteTrigger bool          // the author knows that any client can trigger the rule
	AcceptNoRestart     bool          // a process may be ended that no supervisor starts again
}

// EndingSignals returns the signals by which steps of the rule can end a process, in their order. A
// signal after an eviction ends none: it follows only once the pod is terminating, and Kubernetes
// makes another one.
func (r *Rule) EndingSignals() []string {
	var signals []string
	for _, s := range r.Steps {
		if s.Kind() == (step.Evict{}).Kind() {
			break
		}
		if signal := s.Traits().Signal; signal != "" {
			signals = append(signals, signal)
		}
	}
	return signals
}

// EndsProcess reports whether some step of the rule can end a process.
func (r *Rule) EndsProcess() bool {
	return slices.ContainsFunc(r.Steps, func(s step.Step) bool { return s.Traits().EndsProcess })
}

// OnlyObserves reports whether the rule has no remedy.
func (r *Rule) OnlyObserves() bool {
	return !slices.ContainsFunc(r.Steps, func(s step.Step) bool { return !s.Traits().Observes })
}

// WritesEvidence reports whether the rule has a step evidence.
func (r *Rule) WritesEvidence() bool {
	return slices.ContainsFunc(r.Steps, func(s step.Step) bool { return s.Kind() == step.Evidence{}.Kind() })
}
