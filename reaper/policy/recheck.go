package policy

import (
	"fmt"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
)

// RecheckResult is the result of Recheck.
type RecheckResult struct {
	Label Label // why no further step may be run; empty if one may
	Why   string
	// Sockets has the current state of each socket that the rule may count as evidence. A nil value
	// means that the socket is no evidence any more.
	Sockets map[closewait.SocketID]*closewait.Socket
	// GroupOf returns the group of a process, or of the target for one that belongs to the same
	// service; empty for a process that is not in the View.
	GroupOf func(closewait.ProcessID) string
}

// Recheck repeats the checks that led to a decision, as far as they concern the process and its
// sockets. The State is the one after the decision; process holds the current facts. It is safe for
// concurrent use, also with Decide.
func (p *Policy) Recheck(view *closewait.View, s State, d *Decision, process *closewait.Process) RecheckResult {
	if label, why := ViewUnusable(view); label != unlabelled {
		return RecheckResult{Label: label, Why: why}
	}
	s.matches = nil
	r, index := newRound(p, view, &s), p.index(d.Rule)
	state := r.stateOf(process)
	e := &evaluation{round: r, processState: state, rule: d.Rule, index: index, d: r.decision(state, index), thorough: true}
	result := RecheckResult{Sockets: map[closewait.SocketID]*closewait.Socket{}, GroupOf: e.groupOf}
	switch {
	case state.group != d.Group:
		result.Label, result.Why = LabelGone, fmt.Sprintf("its group was %q and is %q now", d.Group, state.group)
	case r.match(state, index) != matches:
		result.Label, result.Why = LabelGone, "the rule does not match the process any more: it runs another program"
	case e.Protection() != "":
		result.Label, result.Why = condition.LabelProtected, e.Protection()
	case !condition.Running(process):
		result.Label, result.Why = condition.LabelStopped, fmt.Sprintf("stopped or traced (state %c)", process.State)
	}
	for socket := range e.candidateSockets() {
		result.Sockets[socket.ID] = nil
	}
	for _, socket := range e.Evidence() {
		result.Sockets[socket.ID] = socket
	}
	return result
}

// stateOf returns the state of a process with other facts than in the View, which need not have it.
func (r *round) stateOf(process *closewait.Process) *processState {
	p := &processState{Holder: &closewait.Holder{Process: *process}, rules: make([]ruleState, len(r.policy.rules)), observedSince: r.next.observedSince}
	p.group, p.limitGroup = p.Group(), limitGroup(process)
	if seen := r.next.byID[process.ID]; seen != nil {
		p.Held, p.Defunct, p.observedSince = seen.Held, seen.Defunct, seen.observedSince
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
