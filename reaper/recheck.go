package reaper

import (
	"fmt"

	"closewait_exporter/closewait"
)

// witnessed is what a later View says of a process that was decided upon.
type witnessed struct {
	label Label // why nothing more may be done, if so
	why   string
	// sockets are those of the process that the rule looks at, as they are now; nil for one that does not
	// speak against the process any more.
	sockets map[closewait.SocketID]*closewait.Socket
	groupOf func(closewait.ProcessID) string
}

// recheck asks the questions that led to a decision again, as far as they are about the process
// and its sockets. The State is the one after the decision, the process what it is now.
func (p *Policy) recheck(view *closewait.View, s State, d *Decision, process *closewait.Process) witnessed {
	if label, why := blind(view); label != unlabelled {
		return witnessed{label: label, why: why}
	}
	r, index := newRound(p, view, &s), p.index(d.Rule)
	m := r.meet(process)
	q := &inquiry{round: r, memory: m, rule: d.Rule, index: index, d: r.decision(m, index), thorough: true}
	w := witnessed{sockets: map[closewait.SocketID]*closewait.Socket{}, groupOf: r.groupOf}
	switch {
	case m.group != d.Group:
		w.label, w.why = LabelGone, fmt.Sprintf("its group was %q and is %q now", d.Group, m.group)
	case r.judge(m, index) != matches:
		w.label, w.why = LabelGone, "the rule does not match the process any more: it runs another program"
	case !q.unprotected():
		w.label, w.why = LabelProtected, q.d.Why
	case !q.runs():
		w.label, w.why = LabelStopped, tellRunning(&q.d)
	}
	for socket := range q.suspects() {
		w.sockets[socket.ID] = nil
	}
	q.evident()
	for _, socket := range q.evidence {
		w.sockets[socket.ID] = socket
	}
	return w
}

// meet is what a round makes of a process with other facts than those in the View, where it need not be.
func (r *round) meet(process *closewait.Process) *memory {
	m := &memory{Holder: &closewait.Holder{Process: *process}, opinions: make([]opinion, len(r.policy.rules)), awake: r.next.awake}
	m.group = m.Group()
	if seen := r.next.memories[process.ID]; seen != nil {
		m.Held, m.Defunct, m.awake = seen.Held, seen.Defunct, seen.awake
	}
	return m
}

func (p *Policy) index(rule *Rule) int {
	for i := range p.rules {
		if &p.rules[i] == rule {
			return i
		}
	}
	panic("a decision of another policy")
}

// groupOf is that of a process of the View, or none.
func (r *round) groupOf(id closewait.ProcessID) string {
	if m := r.next.memories[id]; m != nil {
		return m.group
	}
	return ""
}
