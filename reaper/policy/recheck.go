package policy

import (
	"fmt"
	"reflect"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
)

// TargetFacts are the current facts of a target of a decision.
type TargetFacts struct {
	Process  closewait.Process
	Activity closewait.Activity
	FDGrowth closewait.Growth       // of its open descriptors
	Command  func() (string, error) // reads the command line; called only if a rule asks for it
	// Supervision asks who starts the process again; nil after an earlier step has ended another
	// target, because a service that is ending starts none of its processes.
	Supervision func() closewait.Supervision
	// Cut are sockets of the decision that the first target still holds after a step that ends
	// connections. Those that have left their state still leak: they count for peer_share.
	Cut []*closewait.Socket
}

// RecheckResult is the result of Recheck.
type RecheckResult struct {
	Label Label // why no further step may be run; empty if one may
	Why   string
	// Sockets has the current state of each socket of the first target that the rule may count as
	// evidence. A nil value means that the socket is no evidence any more.
	Sockets map[closewait.SocketID]*closewait.Socket
	Minimum int // number of evidence sockets that the rule requires now
	// GroupOf returns the group of a process, or of the target for one that belongs to the same
	// service; empty for a process that is not in the View.
	GroupOf func(closewait.ProcessID) string
}

func refused(label Label, format string, args ...any) RecheckResult {
	return RecheckResult{Label: label, Why: fmt.Sprintf(format, args...)}
}

// Recheck repeats the checks that led to a decision before a step with that index, under the rules
// of p, which can be newer than the decision. The State is the one after the last round; targets
// are the living targets, at least one. It is safe for concurrent use, also with Decide.
func (p *Policy) Recheck(view *closewait.View, s State, d *Decision, step int, targets []TargetFacts) RecheckResult {
	index, result := p.allows(d, step)
	if result.Label != unlabelled {
		return result
	}
	if label, why := ViewUnusable(view); label != unlabelled {
		return refused(label, "%s", why)
	}
	if slept := s.slept(view); slept > p.MaxGap() {
		return refused(LabelGap, "the host slept for %s, at most %s without a View allowed", slept, p.MaxGap())
	}
	if s.observedSince.After(d.Taken) { // evidence starts again after a gap, and so must a remediation
		return refused(LabelGap, "a gap since the decision: no View, or the host slept, until %s ago", view.Taken.Sub(s.observedSince))
	}
	s = s.under(p)
	s.matches = nil
	r := newRound(p, view, &s)
	if why := r.suspended[index].why; why != "" {
		return refused(LabelSuspended, "%s", why)
	}
	for i := range targets[1:] {
		if result := r.recheck(d, index, &targets[i+1], false); result.Label != unlabelled {
			return result
		}
	}
	return r.recheck(d, index, &targets[0], true)
}

// SameRules reports whether two policies are of one rules file as it was read once.
func (p *Policy) SameRules(other *Policy) bool { return p.config == other.config }

// allows returns the index of the rule of a decision, and whether it still allows a step: a reload
// can have removed the rule, or have changed its mode or its steps up to this one.
func (p *Policy) allows(d *Decision, step int) (index int, result RecheckResult) {
	for index = range p.rules {
		if p.rules[index].Name == d.Rule.Name {
			break
		}
	}
	if len(p.rules) == 0 || p.rules[index].Name != d.Rule.Name {
		return 0, refused(LabelSuperseded, "a reload has removed the rule")
	}
	rule := &p.rules[index]
	if rule.Mode != d.Rule.Mode {
		label := LabelSuperseded
		if acting[rule.Mode] == LabelDryRun {
			label = LabelDryRun
		}
		return 0, refused(label, "a reload has set the mode of the rule to %s", rule.Mode)
	}
	for i := range min(step+1, len(d.Rule.Steps)) {
		if i >= len(rule.Steps) || !reflect.DeepEqual(rule.Steps[i], d.Rule.Steps[i]) {
			return 0, refused(LabelSuperseded, "a reload has changed the steps of the rule: step %d was %q", i+1, d.Rule.Steps[i])
		}
	}
	return index, RecheckResult{}
}

// recheck repeats the checks of one target. Only the first one has the evidence.
func (r *round) recheck(d *Decision, index int, t *TargetFacts, first bool) RecheckResult {
	rule, state := &r.policy.rules[index], r.stateOf(t)
	if before := groupAt(d, state.ID); state.group != before {
		return refused(LabelGone, "the group of process %d was %q and is %q now", state.ID.PID, before, state.group)
	}
	switch matched, mismatch := rule.Match.Matches(&state.Process, t.Command); {
	case mismatch.Err != nil:
		return refused(LabelIncompleteScan, "%s", mismatch)
	case matched:
	default:
		if before, _ := d.Rule.Match.Matches(&state.Process, t.Command); before {
			return refused(LabelSuperseded, "after a reload the rule does not match process %d any more: %s", state.ID.PID, mismatch)
		}
		return refused(LabelGone, "the rule does not match process %d any more, which runs another program: %s", state.ID.PID, mismatch)
	}
	e := &evaluation{round: r, processState: state, rule: rule, index: index, d: r.decision(state, index), thorough: true, repeated: t.Supervision}
	var sockets map[closewait.SocketID]*closewait.Socket
	if first {
		sockets = e.withCut(t.Cut)
	}
	for i := range checks {
		if c := &checks[i]; t.concerns(c, first) && !c.Check(e) {
			return refused(c.Label, "%s", c.Message(&rule.When, &e.d.Findings))
		}
	}
	if held := d.HeldFor + r.view.Taken.Sub(d.Taken); held < rule.When.For {
		return refused(condition.LabelPending, "enough evidence for %s, %s required after a reload", held, rule.When.For)
	}
	if first {
		for _, socket := range e.Evidence() {
			if _, candidate := sockets[socket.ID]; candidate {
				sockets[socket.ID] = socket
			}
		}
	}
	return RecheckResult{Sockets: sockets, Minimum: rule.When.MinSockets(), GroupOf: e.groupOf}
}

// concerns reports whether a check is repeated for a target. The other targets have no evidence of
// their own.
func (t *TargetFacts) concerns(c *condition.Condition, first bool) bool {
	switch c.Label {
	case condition.LabelUnsupervised:
		return t.Supervision != nil
	case condition.LabelProtected:
		return true
	}
	return !c.DecisionOnly && (first || c.OfProcess != nil)
}

// withCut adds sockets that a step has cut to the evidence. It returns the candidate sockets of the
// process, without a value yet.
func (e *evaluation) withCut(cut []*closewait.Socket) map[closewait.SocketID]*closewait.Socket {
	e.collect()
	candidates := map[closewait.SocketID]*closewait.Socket{}
	for socket := range e.candidateSockets() {
		candidates[socket.ID] = nil
	}
	for _, socket := range cut {
		if _, candidate := candidates[socket.ID]; !candidate {
			e.evidence = append(e.evidence, socket)
		}
	}
	return candidates
}

// groupAt returns the group of a target at the decision.
func groupAt(d *Decision, id closewait.ProcessID) string {
	for _, p := range d.With {
		if p.ID == id {
			return p.Group()
		}
	}
	return d.Group
}

// stateOf returns the state of a process with other facts than in the View, which need not have it.
func (r *round) stateOf(t *TargetFacts) *processState {
	p := &processState{Holder: &closewait.Holder{Process: t.Process}, rules: make([]ruleState, len(r.policy.rules)), observedSince: r.next.observedSince}
	p.group, p.limitGroup = p.Group(), limitGroup(&t.Process)
	p.Halted, p.fdGrowth = t.Activity.Halted, t.FDGrowth
	if seen := r.next.byID[t.Process.ID]; seen != nil {
		p.Ended, p.Other, p.observedSince, p.pauses = seen.Ended, seen.Other, seen.observedSince, seen.pauses
	}
	if before := r.before[t.Process.ID]; p.Halted == "" && before != nil && before.activity != nil && t.Activity.StuckSince(before.activity) {
		p.Halted = stuckReason
	}
	return p
}

func (e *evaluation) groupOf(id closewait.ProcessID) string {
	p := e.next.byID[id]
	switch {
	case p == nil:
		return ""
	case e.sameService(p):
		return e.group
	}
	return p.group
}
