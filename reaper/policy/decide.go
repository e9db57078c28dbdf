package policy

import (
	"fmt"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// Decide returns which processes of a View to act on, and why not on each other process that a rule
// matches. It is a pure function: its only clock is View.Taken, and it changes nothing. First come
// the decisions about processes that passed all checks, the worst process first; then the rest in
// the order of the View and of the rules.
func (p *Policy) Decide(view *closewait.View, s State) ([]Decision, State) {
	s = s.under(p)
	if label, why := p.checkRound(view, &s); label != unlabelled {
		return p.refuseRound(label, why, view), s.afterUnusable(label, view)
	}
	r := newRound(p, view, &s)
	for i := range r.next.processes {
		for j := range p.rules {
			r.consider(&r.next.processes[i], j)
		}
	}
	for i := range r.suspended {
		if s := &r.suspended[i]; s.why != "" {
			r.others = append(r.others, ruleDecision(&p.rules[i], LabelSuspended, s.why, view))
		}
	}
	r.selectByMode()
	all := r.others
	if len(r.candidates) > 0 {
		all = slices.Concat(r.candidates, r.others)
	}
	markChanged(all)
	r.next.supervision = nil
	r.updateBlocked(all)
	r.updateCandidates(all)
	r.next.uncovered = slices.ContainsFunc(all, func(d Decision) bool { return d.Label == condition.LabelLowCoverage })
	return all, r.next
}

// checkRound returns why a View cannot be used, or no label.
func (p *Policy) checkRound(view *closewait.View, s *State) (label Label, why string) {
	if label, why := ViewUnusable(view); label != unlabelled || s.last.IsZero() {
		return label, why
	}
	switch since := view.Taken.Sub(s.last); {
	case since <= 0:
		return LabelIncompleteScan, "the View is not newer than the View of the last round"
	case since > p.MaxGap():
		return LabelGap, fmt.Sprintf("no View for %s, at most %s allowed", since, p.MaxGap())
	case s.slept(view) > p.MaxGap()-since:
		return LabelGap, fmt.Sprintf("the host slept for %s, at most %s without a View allowed", s.slept(view), p.MaxGap())
	}
	return unlabelled, ""
}

// slept is for how long the host was suspended between the last round and a View. The clock of the
// Views stands still meanwhile.
func (s *State) slept(view *closewait.View) time.Duration {
	if s.uptime == 0 || view.Uptime == 0 {
		return 0
	}
	return max(view.Uptime-s.uptime-view.Taken.Sub(s.last), 0)
}

// ViewUnusable returns why a View shows too little to act on, or no label.
func ViewUnusable(view *closewait.View) (label Label, why string) {
	if view.UnreadableNamespaces > 0 {
		return LabelIncompleteScan, fmt.Sprintf("the sockets of %d network namespaces could not be read", view.UnreadableNamespaces)
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

func ruleDecision(rule *rules.Rule, label Label, why string, view *closewait.View) Decision {
	return Decision{Rule: rule, Label: label, Findings: condition.Findings{Taken: view.Taken, Why: why}}
}

// afterUnusable is the State after a round that did not count. After a gap all evidence starts
// again: what happened while no scan ran, or while the process itself did not run, does not count
// against it.
func (s State) afterUnusable(label Label, view *closewait.View) State {
	s.unusable, s.activities, s.fdGrowth, s.supervision, s.blocked = label, nil, nil, nil, s.blocked.through(label, view.Taken)
	if label == LabelGap {
		s.last, s.uptime, s.observedSince, s.candidates = view.Taken, view.Uptime, view.Taken, nil
	}
	return s
}

// round is one evaluation of all rules.
type round struct {
	policy     *Policy
	view       *closewait.View
	last       time.Time                             // the round before this one
	before     map[closewait.ProcessID]*processState // in that round
	next       State
	coverage   closewait.CoverageByOpener
	suspended  []suspension // by rule
	candidates []Decision   // that passed all checks of a single process
	others     []Decision
	withheld   []Decision // about processes of suspended rules; the rule has a decision as a whole
	evaluation evaluation // of the current process and rule
}

func newRound(p *Policy, view *closewait.View, s *State) *round {
	r := &round{policy: p, view: view, last: s.last, before: s.byID, next: s.after(view), coverage: view.CoverageByOpener(), suspended: make([]suspension, len(p.rules))}
	for i := range p.rules {
		r.suspended[i] = r.suspension(&p.rules[i])
	}
	expected := 0
	for _, n := range s.matched {
		expected += n
	}
	r.others = make([]Decision, 0, expected)
	return r
}

// suspension is why a rule must not act; the zero value if it may.
type suspension struct {
	why string
	by  Label // what keeps leaks from a remedy
}

func (r *round) suspension(rule *rules.Rule) suspension {
	if why := r.policy.refused[rule.Name]; why != "" {
		return suspension{why, LabelSuspended}
	}
	if until, tripped := r.next.limiters[rule.Mode].suspended[rule.Name]; tripped {
		return suspension{fmt.Sprintf("the breaker has tripped, %s left", until.Sub(r.view.Taken)), LabelBreaker}
	}
	return suspension{}
}

// consider decides about one process and one rule, without regard to the other processes.
func (r *round) consider(p *processState, index int) {
	rule, matched := &r.policy.rules[index], r.match(p, index)
	if matched == differs {
		return
	}
	if matched == matches && concerns(rule, p.Holder) {
		r.next.matched[index]++
	}
	e := &r.evaluation
	*e = evaluation{round: r, processState: p, rule: rule, index: index, d: r.decision(p, index), evidence: e.evidence[:0], with: e.with[:0]}
	holds := e.check()
	r.countSupervised(e)
	switch suspended := &r.suspended[index]; {
	case matched == unreadable:
		_, err := r.next.command(&p.Process)
		d := r.decision(p, index)
		d.Label, d.Why, d.past = LabelIncompleteScan, err.Error(), e.d.past
		r.others = append(r.others, d)
	case suspended.why != "":
		if e.d.past {
			e.d.blockedBy = suspended.by
			r.withheld = append(r.withheld, e.d)
		}
	case holds:
		r.accept(e)
	default:
		if e.d.Label == condition.LabelPending {
			e.d.blockedBy, e.d.blockedAfter = r.ifDirectionKnown(e)
		}
		r.others = append(r.others, e.d)
	}
}

// accept adds a process to the candidates.
func (r *round) accept(e *evaluation) {
	e.candidate[e.rule.Mode] = true
	e.d.Evidence, e.d.limitGroups = slices.Clone(e.evidence), e.limitGroups()
	for _, p := range e.with {
		e.d.With = append(e.d.With, &p.Process)
	}
	r.candidates = append(r.candidates, e.d)
}

// concerns reports whether the process has sockets in a state that can count. Other processes get a
// decision too, so that explain can give a reason, but they do not make the breaker less sensitive.
func concerns(r *rules.Rule, h *closewait.Holder) bool {
	return r.When.Candidates(h)+h.Unaccepted.Len() > 0
}

// markChanged marks the decisions about processes that differ from the last round.
func markChanged(decisions []Decision) {
	for i := range decisions {
		d := &decisions[i]
		if d.Process == nil {
			continue
		}
		code := d.code()
		d.Changed = d.state.decided != code
		d.state.decided = code
	}
}

func (r *round) decision(p *processState, index int) Decision {
	return Decision{
		Rule: &r.policy.rules[index], Group: p.group, state: &p.rules[index],
		Findings: condition.Findings{
			Process: &p.Process, Taken: r.view.Taken, Held: heldFor(p.Holder, &r.policy.rules[index].When),
			FDGrowth: p.fdGrowth, CanEnd: r.policy.ends[index],
		},
	}
}

// match returns whether a rule matches a process. The result unreadable is not kept.
func (r *round) match(p *processState, index int) matchState {
	state := &p.rules[index]
	if state.matchState != notMatchedYet {
		return state.matchState
	}
	matched, mismatch := r.policy.rules[index].Match.MatchesBy(r.next.matches.fits, &p.Process, func() (string, error) { return r.next.command(&p.Process) })
	switch {
	case mismatch.Err != nil:
		return unreadable
	case matched:
		state.matchState = matches
	default:
		state.matchState = differs
	}
	return state.matchState
}

// heldFor is the number of sockets of a process of which some can be evidence for a rule.
func heldFor(h *closewait.Holder, w *condition.When) int {
	if w.CountsOthers() {
		return h.Ended.Len() + h.Other.Len()
	}
	return h.Ended.Len()
}
