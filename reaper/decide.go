package reaper

import (
	"fmt"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// Decide says what is to be done about the processes of a View, and why nothing is about all others
// that a rule matches. It is a pure function: no clock but View.Taken, nothing read, nothing
// changed. Decisions to act, or not to only because of the others, come first, the worst process
// first; then the rest in the order of the View and of the rules.
func (p *Policy) Decide(view *closewait.View, s State) ([]Decision, State) {
	s = s.under(p)
	if label, why := p.gate(view, &s); label != unlabelled {
		return p.refuseRound(label, why, view), s.afterGate(label, view)
	}
	r := newRound(p, view, &s)
	for i := range r.next.crowd {
		for j := range p.rules {
			r.consider(&r.next.crowd[i], j)
		}
	}
	for i, why := range r.suspended {
		if why != "" {
			r.others = append(r.others, ruleDecision(&p.rules[i], LabelSuspended, why, view))
		}
	}
	r.grant()
	all := r.others
	if len(r.candidates) > 0 {
		all = slices.Concat(r.candidates, r.others)
	}
	r.compare(all)
	return all, r.next
}

// gate says why a View counts for nothing, or returns no label.
func (p *Policy) gate(view *closewait.View, s *State) (label Label, why string) {
	if label, why := blind(view); label != unlabelled || s.last.IsZero() {
		return label, why
	}
	switch since := view.Taken.Sub(s.last); {
	case since <= 0:
		return LabelIncompleteScan, "the View is not newer than that of the last round"
	case since > p.gapAfter():
		return LabelGap, fmt.Sprintf("nobody looked for %s, %s are allowed", since, p.gapAfter())
	}
	return unlabelled, ""
}

// blind says why a View shows too little to act upon, or returns no label.
func blind(view *closewait.View) (label Label, why string) {
	switch {
	case view.UnreadableNamespaces > 0:
		return LabelIncompleteScan, fmt.Sprintf("the sockets of %d network namespaces could not be read", view.UnreadableNamespaces)
	case view.Coverage() < minCoverage:
		return LabelLowCoverage, fmt.Sprintf("the owner is known of %.1f%% of the sockets, %s are needed", 100*view.Coverage(), percent(minCoverage))
	}
	return unlabelled, ""
}

func (p *Policy) refuseRound(label Label, why string, view *closewait.View) []Decision {
	decisions := make([]Decision, len(p.rules))
	for i := range p.rules {
		decisions[i] = ruleDecision(&p.rules[i], label, why, view)
	}
	return decisions
}

func ruleDecision(rule *Rule, label Label, why string, view *closewait.View) Decision {
	return Decision{Rule: rule, Label: label, Findings: Findings{Taken: view.Taken, Why: why}}
}

// afterGate is the State after a round that did not count. A gap makes everything begin anew: what
// a process did while nobody looked, or while it stood still itself, does not speak against it.
func (s State) afterGate(label Label, view *closewait.View) State {
	s.gate = label
	if label == LabelGap {
		s.last, s.awake = view.Taken, view.Taken
	}
	return s
}

// round is one evaluation of all rules.
type round struct {
	policy     *Policy
	view       *closewait.View
	last       time.Time // the round before this one
	next       State
	suspended  []string   // by rule: why it must not act, if so
	candidates []Decision // that got through all stages that ask about one process alone
	others     []Decision
	inquiry    inquiry // the one under way
}

func newRound(p *Policy, view *closewait.View, s *State) *round {
	r := &round{policy: p, view: view, last: s.last, next: s.after(view), suspended: make([]string, len(p.rules))}
	for i := range p.rules {
		r.suspended[i] = r.suspension(p.rules[i].Name)
	}
	expected := 0
	for _, n := range s.matched {
		expected += n
	}
	r.others = make([]Decision, 0, expected)
	return r
}

func (r *round) suspension(rule string) string {
	if why := r.policy.refused[rule]; why != "" {
		return why
	}
	if until, tripped := r.next.suspended[rule]; tripped {
		return fmt.Sprintf("the breaker has tripped, for another %s", until.Sub(r.view.Taken))
	}
	return ""
}

// consider decides about one process and one rule, as far as that goes without the others.
func (r *round) consider(m *memory, index int) {
	rule := &r.policy.rules[index]
	switch r.judge(m, index) {
	case differs:
		return
	case unreadable:
		_, err := r.next.command(&m.Process)
		d := r.decision(m, index)
		d.Label, d.Why = LabelIncompleteScan, err.Error()
		r.others = append(r.others, d)
		return
	}
	if rule.concerns(m.Holder) {
		r.next.matched[index]++
	}
	if r.suspended[index] != "" {
		return
	}
	q := &r.inquiry
	*q = inquiry{round: r, memory: m, rule: rule, index: index, d: r.decision(m, index), evidence: q.evidence[:0], with: q.with[:0]}
	if q.run() {
		r.candidates = append(r.candidates, q.d)
	} else {
		r.others = append(r.others, q.d)
	}
}

// concerns tells whether the process has sockets of a kind that can count. Others get a decision too, so that it
// can be told why nothing is done, but they do not make the breaker less sensitive.
func (r *Rule) concerns(h *closewait.Holder) bool {
	return h.Held.Len()+h.Unaccepted.Len() > 0 || r.When.IncludeDefunct
}

// compare finds the decisions about processes that are others than in the last round.
func (r *round) compare(decisions []Decision) {
	for i := range decisions {
		d := &decisions[i]
		if d.Process == nil {
			continue
		}
		d.Changed = d.opinion.label != d.Label
		d.opinion.label = d.Label
	}
}

func (r *round) decision(m *memory, index int) Decision {
	return Decision{
		Rule: &r.policy.rules[index], Process: &m.Process, Group: m.group, opinion: &m.opinions[index],
		Findings: Findings{Taken: r.view.Taken, Held: m.Held.Len() + m.Defunct.Len()},
	}
}

// judge tells whether a rule matches a process. What could not be found out is not remembered.
func (r *round) judge(m *memory, index int) verdict {
	opinion := &m.opinions[index]
	if opinion.verdict != unjudged {
		return opinion.verdict
	}
	matched, mismatch := r.policy.rules[index].Match.Matches(&m.Process, func() (string, error) { return r.next.command(&m.Process) })
	switch {
	case mismatch.Err != nil:
		return unreadable
	case matched:
		opinion.verdict = matches
	default:
		opinion.verdict = differs
	}
	return opinion.verdict
}
