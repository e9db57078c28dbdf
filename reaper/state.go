package reaper

import (
	"time"

	"closewait_exporter/closewait"
)

// State is what was decided and done so far. Decide and the other methods leave it alone and return
// a new one. Its size follows that of the last View; what was done is bounded by Limits.
type State struct {
	policy *Policy
	judge  *Policy   // by which the opinions were formed
	began  time.Time // the first round
	last   time.Time // the last round that counted
	awake  time.Time // the end of the last gap: what happened before is no evidence; zero: no gap
	gate   Label     // why the last round did not count, if so

	crowd     []memory                        // the processes of the last View, in its order
	memories  map[closewait.ProcessID]*memory // the same
	commands  map[closewait.ProcessID]Command
	matched   []int                // processes by rule
	suspended map[string]time.Time // rules whose breaker has tripped, and until when
	leashes   [2]leash             // by Mode: a rule on trial takes nothing from those that act
}

// memory is what need not be found out again in each round as long as a process remains what it is.
type memory struct {
	*closewait.Holder
	group      string
	opinions   []opinion // by rule
	protection string    // why the process is protected
	judged     bool      // whether protection is known
	awake      time.Time // when it was last seen stopped, or a gap ended: what was before is no evidence
	candidate  [2]bool   // by Mode: a rule has chosen the process in this round
}

// opinion is what a rule makes of a process. There is one of each pair, so it is kept small.
type opinion struct {
	verdict
	label  Label         // of the last round
	enough bool          // there is enough evidence
	since  time.Duration // when it became enough, after State.began
}

// verdict tells whether a rule matches a process.
type verdict uint8

const (
	unjudged verdict = iota
	matches
	differs
	unreadable // nobody can say: the command line could not be read
)

// Matched is the number of processes that each rule matched in the last round that counted.
func (s *State) Matched() map[string]int {
	matched := make(map[string]int, len(s.matched))
	for i, n := range s.matched {
		matched[s.policy.rules[i].Name] = n
	}
	return matched
}

// under is the State as another Policy sees it: what its rules make of the processes has to be
// found out anew, what was done remains.
func (s State) under(p *Policy) State {
	if s.policy != p {
		s.policy, s.matched = p, nil
	}
	return s
}

// after is the State at a View that no gap is before, with everything forgotten that is over.
func (s State) after(view *closewait.View) State {
	next := s
	next.last, next.gate = view.Taken, unlabelled
	if s.began.IsZero() {
		next.began = view.Taken
	}
	next.recall(view, &s)
	next.commands = s.keepCommands(next.memories, view.Taken)
	next.matched = make([]int, len(s.policy.rules))
	next.suspended = map[string]time.Time{}
	for rule, until := range s.suspended {
		if until.After(view.Taken) {
			next.suspended[rule] = until
		}
	}
	for mode := range next.leashes {
		next.leashes[mode] = s.leashes[mode].sweep(view.Taken, s.policy.config.Limits, next.memories)
	}
	return next
}

// recall makes the memories of the processes of a View. What is known of their programs stays known
// as long as nothing has changed that rules look at.
func (s *State) recall(view *closewait.View, before *State) {
	s.judge = s.policy
	rules := len(s.policy.rules)
	opinions := make([]opinion, len(view.Holders)*rules)
	s.crowd = make([]memory, len(view.Holders))
	s.memories = make(map[closewait.ProcessID]*memory, len(view.Holders))
	for i, h := range view.Holders {
		m := &s.crowd[i]
		*m = memory{Holder: h, opinions: opinions[i*rules : (i+1)*rules : (i+1)*rules], awake: s.awake}
		m.recall(before.memories[h.ID], view.Taken, before.judge == s.policy)
		s.memories[h.ID] = m
	}
}

func (m *memory) recall(before *memory, now time.Time, sameRules bool) {
	if before != nil && before.awake.After(m.awake) {
		m.awake = before.awake
	}
	if !running(&m.Process) {
		m.awake = now
	}
	if before == nil || !sameRules || !sameProgram(&before.Process, &m.Process) {
		m.group = m.Group()
		return
	}
	m.group, m.protection, m.judged = before.group, before.protection, before.judged
	copy(m.opinions, before.opinions)
}

func sameProgram(a, b *closewait.Process) bool {
	return a.Exe == b.Exe && a.Comm == b.Comm && a.Unit == b.Unit && a.GroupUnknown == b.GroupUnknown && a.UID == b.UID && a.User == b.User && a.Container == b.Container
}
