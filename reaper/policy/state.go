package policy

import (
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// State is the result of all rounds and remediations so far. Decide and the other methods leave it
// unchanged and return a new one. Its size is proportional to the last View; past actions are
// bounded by Limits. A State and the ones that Decide derives from it share a cache, so that
// Decide, Unknown and Explain must not be called on them concurrently.
type State struct {
	policy      *Policy
	evaluatedBy *Policy       // made the ruleStates
	began       time.Time     // the first round
	last        time.Time     // the last round that counted
	uptime      time.Duration // of the host in the last round that counted or was a gap; 0: not known
	unusable    Label         // why the last round did not count
	// observedSince is the end of the last gap; what happened before it is no evidence. Zero: no
	// gap.
	observedSince time.Time

	processes   []processState // of the last View, in its order
	byID        map[closewait.ProcessID]*processState
	commands    map[closewait.ProcessID]Command
	activities  map[closewait.ProcessID]closewait.Activity    // for the next round
	fdGrowth    map[closewait.ProcessID]closewait.Growth      // of open descriptors, for the next round
	supervision map[closewait.ProcessID]closewait.Supervision // for the next call of Decide
	supervised  map[string]map[closewait.Supervisor]int       // see Supervised
	matched     []int                                         // processes by rule
	uncovered   bool                                          // in the last round that counted, a process had the decision low_coverage
	blocked     blockedLeaks
	candidates  candidates
	limiters    [2]limiter // by Mode: a rule in dry run takes nothing from the rules that act
	matches     *matchCache
}

// processState holds results that stay valid as long as the process runs the same program.
type processState struct {
	*closewait.Holder
	group           string
	limitGroup      string      // see the function limitGroup
	rules           []ruleState // by rule
	protection      string      // why no rule may act on the process
	protectionKnown bool
	observedSince   time.Time // it was last seen stopped, or a gap ended: what happened before is no evidence
	candidate       [2]bool   // by Mode: a rule has selected the process in this round

	fdGrowth closewait.Growth    // of its open descriptors
	activity *closewait.Activity // nil: not read
	halted   bool                // it was stopped, traced or frozen
	stuck    bool                // no thread had run since the round before
	pauses   []pause             // times in which it was stuck, oldest first
}

// ruleState is the state of a rule and a process. It is small because there is one for each pair.
type ruleState struct {
	matchState
	decided labelCode     // in the last round
	enough  bool          // there is enough evidence
	since   time.Duration // when it became enough, after State.began
}

// matchState says whether a rule matches a process.
type matchState uint8

const (
	notMatchedYet matchState = iota
	matches
	differs
	unreadable // unknown: the command line could not be read
)

// Matched returns the number of processes that each rule matched in the last round that counted.
func (s *State) Matched() map[string]int {
	matched := make(map[string]int, len(s.matched))
	for i, n := range s.matched {
		matched[s.policy.rules[i].Name] = n
	}
	return matched
}

// Unusable returns why the last round did not count; empty if it did.
func (s *State) Unusable() Label { return s.unusable }

// LowCoverage reports whether too few owners of sockets were known to act on some process in the
// last round that counted.
func (s *State) LowCoverage() bool { return s.uncovered }

// steady returns a time as the wall clock would show it if it had not been set since the first
// round.
func (s *State) steady(at time.Time) time.Time { return s.began.Add(at.Sub(s.began)) }

// under is the State as another Policy uses it: the rules have to be matched again, past actions
// remain.
func (s State) under(p *Policy) State {
	if s.policy != p {
		s.policy, s.matched, s.matches = p, nil, newMatchCache()
	}
	return s
}

// after is the State at a View without a gap before it. Everything that has expired is removed.
func (s State) after(view *closewait.View) State {
	next := s
	next.last, next.uptime, next.unusable, next.activities, next.fdGrowth = view.Taken, view.Uptime, unlabelled, nil, nil
	next.supervised = map[string]map[closewait.Supervisor]int{}
	if s.began.IsZero() {
		next.began = view.Taken
	}
	next.carryOver(view, &s)
	next.commands = s.keepCommands(next.byID, view.Taken)
	next.matched = make([]int, len(s.policy.rules))
	for mode := range next.limiters {
		next.limiters[mode] = s.limiters[mode].expire(view.Taken, s.policy.config.Limits, next.byID)
	}
	return next
}

// carryOver makes the states of the processes of a View. What is known about a program stays known
// as long as nothing has changed that rules depend on.
func (s *State) carryOver(view *closewait.View, before *State) {
	s.evaluatedBy = s.policy
	n := len(s.policy.rules)
	states := make([]ruleState, len(view.Holders)*n)
	s.processes = make([]processState, len(view.Holders))
	s.byID = make(map[closewait.ProcessID]*processState, len(view.Holders))
	for i, h := range view.Holders {
		p := &s.processes[i]
		*p = processState{Holder: h, rules: states[i*n : (i+1)*n : (i+1)*n], observedSince: s.observedSince}
		p.carryOver(before.byID[h.ID], before.evaluatedBy == s.policy)
		for _, rule := range s.policy.byLine {
			p.rules[rule].matchState = notMatchedYet // a process can execute its own program again, with other arguments
		}
		p.fdGrowth = before.fdGrowth[h.ID]
		var activity *closewait.Activity
		if a, read := before.activities[h.ID]; read {
			known := a // allocated only here: most processes are not watched
			activity = &known
		}
		p.observe(before.byID[h.ID], activity, before.last, view.Taken)
		s.byID[h.ID] = p
	}
}

func (p *processState) carryOver(before *processState, sameRules bool) {
	if before != nil && before.observedSince.After(p.observedSince) {
		p.observedSince = before.observedSince
	}
	if before == nil || !sameRules || !sameProgram(&before.Process, &p.Process) {
		p.group, p.limitGroup = p.Group(), limitGroup(&p.Process)
		return
	}
	p.group, p.limitGroup, p.protection, p.protectionKnown = before.group, before.limitGroup, before.protection, before.protectionKnown
	copy(p.rules, before.rules)
}

func sameProgram(a, b *closewait.Process) bool {
	return a.Exe == b.Exe && a.Comm == b.Comm && a.Unit == b.Unit && a.GroupUnknown == b.GroupUnknown && a.UID == b.UID && a.User == b.User && a.Container == b.Container && a.Pod == b.Pod && a.Nested == b.Nested
}

// Withhold takes back the decisions to act, because the actions could not be recorded. It restores
// the cooldowns and the budget of the State before; there is no budget until the given time.
func (s State) Withhold(decisions []Decision, before *State, until time.Time) State {
	s.limiters[rules.Enforce] = before.limiters[rules.Enforce]
	s.limiters[rules.Enforce].frozenUntil = until
	for i := range decisions {
		if d := &decisions[i]; d.Label == LabelAct {
			d.Label, d.Why = LabelBudget, "the state file cannot be written, so the action would not be remembered"
			d.state.decided = d.code()
		}
	}
	s.blocked = s.blocked.withhold(decisions)
	return s
}
