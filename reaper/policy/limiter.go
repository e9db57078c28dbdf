package policy

import (
	"maps"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// How many past actions are kept, in case a reload sets a longer limits.per.
const (
	actionsKept = 24 * time.Hour
	actionsMax  = 1000 // or limits.actions, if that is more
)

// unkillableKept is how long a process that KILL did not end is remembered after it was last seen.
const unkillableKept = time.Hour

// limiter counts the past and current actions of the rules of a mode.
type limiter struct {
	runs        []activeRun
	cooldowns   map[ruleGroup]cooldown
	retries     map[ruleProcess]retry
	due         map[ruleGroup]time.Time // when a rule would have acted on a group last
	suspended   map[string]time.Time    // rules whose breaker has tripped, and until when
	actions     []time.Time             // oldest first, with those that runs have reserved
	frozenUntil time.Time               // no budget until then, because the past actions are unknown
	unkillable  map[closewait.ProcessID]time.Time
}

// ruleGroup is a rule and a group that it acts on, by processState.limitGroup.
type ruleGroup struct{ rule, group string }

// activeRun is a remediation that has not ended. It has reserved an action for each target, and the
// cooldown of its group. They are in the state file before its first step, and are given back when
// it ends without having done anything.
type activeRun struct {
	id string
	ruleGroup
	groups   []string // limitGroup of every process that holds the evidence
	targets  []closewait.ProcessID
	decided  time.Time     // the time of its actions
	maxPause time.Duration // between two attempts that do nothing

	// What it has replaced; the zero values if there was nothing.
	cooldownBefore cooldown
	dueBefore      time.Time
}

// RunResult tells the State how a remediation ended.
type RunResult struct {
	ID         string
	Mode       rules.Mode
	At         time.Time
	NoAction   bool  // no step was carried out
	Label      Label // the decision that stopped it; empty if none did
	Unkillable bool  // KILL did not end the process
}

// BudgetLeft returns the number of actions that limits still allow at the time now.
func (s *State) BudgetLeft(mode rules.Mode, now time.Time, limits rules.Limits) int {
	return s.limiters[mode].left(now, limits)
}

// Freeze is the State without a budget until the given time.
func (s State) Freeze(until time.Time) State {
	s.limiters[rules.Enforce].frozenUntil = until
	return s
}

// Frozen reports whether there is no budget because the past actions are unknown.
func (s *State) Frozen(now time.Time) bool { return now.Before(s.limiters[rules.Enforce].frozenUntil) }

func (l *limiter) left(now time.Time, limits rules.Limits) int {
	if now.Before(l.frozenUntil) {
		return 0
	}
	n := limits.Actions
	for _, at := range l.actions {
		if now.Sub(at) < limits.Per {
			n--
		}
	}
	return max(n, 0)
}

// reserve enters a decision to act before it is carried out: a program that dies in the middle of a
// remediation has used the budget all the same. steady is the time of the decision by State.steady.
func (l *limiter) reserve(d *Decision, steady time.Time) {
	run := activeRun{id: d.ID(), ruleGroup: d.ruleGroup(), groups: d.limitGroups, decided: d.Taken, maxPause: d.Rule.Cooldown, dueBefore: d.dueBefore}
	for _, p := range d.TargetProcesses() {
		run.targets = append(run.targets, p.ID)
		l.actions = append(l.actions, d.Taken)
	}
	run.cooldownBefore = l.cooldowns[run.ruleGroup]
	l.cooldowns[run.ruleGroup] = run.cooldownBefore.afterAction(d, steady)
	l.runs = append(l.runs, run)
}

// expire returns a copy of the limiter without everything that has expired.
func (l limiter) expire(now time.Time, limits rules.Limits, present map[closewait.ProcessID]*processState) limiter {
	l.runs = slices.Clone(l.runs)
	l.cooldowns = cloneExcept(l.cooldowns, func(key ruleGroup, c cooldown) bool {
		// A leak that comes back within the same time again is a relapse.
		return now.Sub(c.until) >= c.length && !slices.ContainsFunc(l.runs, func(r activeRun) bool { return r.ruleGroup == key })
	})
	l.retries = cloneExcept(l.retries, func(key ruleProcess, r retry) bool {
		return present[key.id] == nil || now.Sub(r.until) >= r.pause
	})
	l.due = cloneExcept(l.due, func(_ ruleGroup, at time.Time) bool { return now.Sub(at) >= breakerWindow })
	l.suspended = cloneExcept(l.suspended, func(_ string, until time.Time) bool { return !until.After(now) })
	expired := 0
	for expired < len(l.actions) && (now.Sub(l.actions[expired]) >= max(limits.Per, actionsKept) || len(l.actions)-expired > max(limits.Actions, actionsMax)) {
		expired++
	}
	l.actions = slices.Clone(l.actions[expired:])
	unkillable := make(map[closewait.ProcessID]time.Time, len(l.unkillable))
	for id, seen := range l.unkillable {
		if present[id] != nil {
			seen = now
		}
		if now.Sub(seen) < unkillableKept {
			unkillable[id] = seen
		}
	}
	l.unkillable = unkillable
	return l
}

// cloneExcept returns a copy of a map without some entries. It is never nil.
func cloneExcept[K comparable, V any](m map[K]V, drop func(K, V) bool) map[K]V {
	clone := make(map[K]V, len(m))
	maps.Copy(clone, m)
	maps.DeleteFunc(clone, drop)
	return clone
}

// Ended is the State after a remediation has ended: its cooldown counts from then on, unless it has
// done nothing.
func (s State) Ended(e RunResult) State {
	l := s.limiters[e.Mode].expire(e.At, s.policy.config.Limits, s.byID)
	i := slices.IndexFunc(l.runs, func(r activeRun) bool { return r.id == e.ID })
	if i < 0 {
		return s
	}
	run := l.runs[i]
	l.runs = slices.Delete(l.runs, i, i+1)
	if e.NoAction {
		l.giveBack(&run, &e, s.policy.Interval())
	} else if c, cooling := l.cooldowns[run.ruleGroup]; cooling {
		c.until = e.At.Add(c.length)
		l.cooldowns[run.ruleGroup] = c
	}
	if e.Unkillable {
		for _, id := range run.targets {
			l.unkillable[id] = e.At
		}
	}
	if !e.NoAction {
		s.blocked = s.blocked.remedied(run.targets)
	}
	s.limiters[e.Mode] = l
	return s
}

// giveBack makes a remediation that did nothing cost nothing, except that its targets wait before
// the next attempt.
func (l *limiter) giveBack(run *activeRun, e *RunResult, interval time.Duration) {
	left := len(run.targets)
	l.actions = slices.DeleteFunc(l.actions, func(at time.Time) bool {
		mine := left > 0 && at.Equal(run.decided)
		if mine {
			left--
		}
		return mine
	})
	restore(l.cooldowns, run.ruleGroup, run.cooldownBefore, run.cooldownBefore.since.IsZero())
	restore(l.due, run.ruleGroup, run.dueBefore, run.dueBefore.IsZero())
	for _, id := range run.targets {
		key := ruleProcess{run.rule, id}
		l.retries[key] = l.retries[key].after(e, interval, run.maxPause)
	}
}

// restore sets a key to its earlier value, or deletes it if there was none.
func restore[K comparable, V any](m map[K]V, key K, before V, none bool) {
	if none {
		delete(m, key)
	} else {
		m[key] = before
	}
}

// runOn returns which remediation runs on a process or its group, or has failed to end the process.
func (l *limiter) runOn(id closewait.ProcessID, groups []string) string {
	for i := range l.runs {
		r := &l.runs[i]
		if slices.ContainsFunc(r.groups, func(g string) bool { return slices.Contains(groups, g) }) || slices.Contains(r.targets, id) {
			return "remediation " + r.id + " is running"
		}
	}
	if _, unkillable := l.unkillable[id]; unkillable {
		return "KILL was sent and did not end the process: no rule tries again"
	}
	return ""
}
