package policy

import (
	"net/netip"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// checks are made in this order. The first one that does not hold names the decision.
var checks = condition.Checks()

// exclusions are the conditions that exclude sockets from the evidence.
var exclusions = condition.Exclusions()

// evaluation checks one process under one rule. It implements condition.Subject.
type evaluation struct {
	*round
	*processState
	rule     *rules.Rule
	index    int // of the rule
	d        Decision
	evidence []*closewait.Socket
	with     []*processState
	thorough bool // evidence is collected in full even if a part is enough
	complete bool // evidence has been collected in full

	repeated   func() closewait.Supervision // before a step, asks about this process again
	supervisor closewait.Supervisor         // that was found; empty if none was asked for

	directionAssumed bool // sockets of unknown direction count as sockets of the wanted one
}

// check makes the checks until one does not hold, which labels the decision; it reports whether all
// hold. After a check that only blocks it makes the others too, to find out whether the leak is
// past all conditions, and leaves the findings as they were.
func (e *evaluation) check() bool {
	e.d.check, e.d.past = len(checks), true
	var findings condition.Findings // of the checks up to the first that does not hold
	for i := range checks {
		if checks[i].Check(e) {
			continue
		}
		if e.d.check == len(checks) {
			e.d.check, e.d.Label, findings = i, checks[i].Label, e.d.Findings
		}
		if !checks[i].Blocks {
			e.d.past = false
			break
		}
	}
	if e.d.check < len(checks) {
		e.d.Findings = findings
		return false
	}
	return true
}

// When implements condition.Subject.
func (e *evaluation) When() *condition.When { return &e.rule.When }

// Findings implements condition.Subject.
func (e *evaluation) Findings() *condition.Findings { return &e.d.Findings }

// Protection implements condition.Subject.
func (e *evaluation) Protection() string { return e.protectionOf(e.processState) }

// protectionOf returns why no rule may act on a process.
func (r *round) protectionOf(p *processState) string {
	if !p.protectionKnown {
		p.protection, p.protectionKnown = r.policy.protection(&p.Process), true
	}
	return p.protection
}

// EnoughEvidence implements condition.Subject.
func (e *evaluation) EnoughEvidence() bool {
	if !e.thorough && e.fewAreEnough() {
		return true
	}
	e.collect()
	if len(e.evidence) >= e.rule.When.MinSockets() {
		return true
	}
	if !e.directionAssumed {
		e.rules[e.index].enough = false
	}
	return false
}

// EnoughFor implements condition.Subject.
func (e *evaluation) EnoughFor() (time.Duration, bool) {
	if e.complete && len(e.evidence) < e.rule.When.MinSockets() {
		return 0, false // only Explain continues after a check that did not hold
	}
	if e.directionAssumed {
		return e.rule.When.For, true
	}
	s := &e.rules[e.index]
	if since := e.next.began.Add(s.since); !s.enough || since.Before(e.observedSince) {
		s.enough, s.since = true, enoughSince(e).Sub(e.next.began)
	}
	return e.ran(e.next.began.Add(s.since), e.view.Taken), true
}

// enoughSince is when the evidence became enough, if it was not in the last round: now, or, by the
// ages that the kernel shows, when the last socket that is needed reached its age.
func enoughSince(e *evaluation) time.Time {
	if !e.policy.trustKernelAges {
		return e.view.Taken
	}
	var reached []time.Time
	for _, s := range e.Evidence() {
		reached = append(reached, latest(s.Since, s.QuietSince).Add(e.rule.When.Age))
	}
	slices.SortFunc(reached, time.Time.Compare)
	return earliest(reached[e.rule.When.MinSockets()-1], e.view.Taken)
}

// Evidence implements condition.Subject.
func (e *evaluation) Evidence() []*closewait.Socket {
	e.collect()
	return e.evidence
}

// KeepOutbound implements condition.Subject.
func (e *evaluation) KeepOutbound() {
	e.evidence = slices.DeleteFunc(e.evidence, func(s *closewait.Socket) bool { return s.Direction != closewait.Outbound })
	e.count()
}

// TrustedPeers implements condition.Subject.
func (e *evaluation) TrustedPeers() []netip.Prefix { return e.policy.config.TrustedPeers }

// Coverage implements condition.Subject.
func (e *evaluation) Coverage() float64 {
	if len(e.coverage) == 0 {
		return 1
	}
	holdsIn := map[closewait.NetNS]bool{}
	for _, s := range e.Ended.Sockets {
		holdsIn[s.ID.NetNS] = true
	}
	return e.coverage.Of(func(by closewait.Opener) bool { return holdsIn[by.NetNS] && openedBy(&e.Process, by.UID) })
}

// ActiveRun implements condition.Subject.
func (e *evaluation) ActiveRun() string {
	groups := e.limitGroups()
	if run := e.next.limiters[e.rule.Mode].runOn(e.ID, groups); run != "" {
		return run
	}
	if run := e.next.limiters[rules.Enforce].runOn(e.ID, groups); run != "" { // a dry run beside it would show steps that are not its own
		return run
	}
	if e.candidate[e.rule.Mode] {
		return "an earlier rule acts on the process in this round"
	}
	return ""
}
