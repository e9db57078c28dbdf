package policy

import (
	"maps"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// A cooldown is doubled at most maxDoublings times: 10 minutes become 11 hours. A cooldown longer
// than maxDoubled is not doubled, so that nothing overflows.
const (
	maxDoublings = 6
	maxDoubled   = 365 * 24 * time.Hour
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
	cooldowns   map[cooldownKey]cooldown
	actions     []time.Time // oldest first
	frozenUntil time.Time   // no budget until then, because the past actions are unknown
	unkillable  map[closewait.ProcessID]time.Time
}

// activeRun is a remediation that has not ended.
type activeRun struct {
	id      string
	rule    string
	group   string
	targets []closewait.ProcessID
}

func (r *activeRun) key() cooldownKey { return cooldownKey{r.rule, r.group} }

type cooldownKey struct{ rule, group string }

// cooldown is the pause after an action of a rule on a group.
type cooldown struct {
	until    time.Time
	length   time.Duration
	relapses int  // in a row
	noAction bool // no step was carried out, so the next leak is no relapse
}

// RunResult tells the State how a remediation ended.
type RunResult struct {
	ID         string
	Mode       rules.Mode
	At         time.Time
	NoAction   bool // no step was carried out
	Unkillable bool // KILL did not end the process
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

// start enters a decision to act before it is carried out: a program that dies in the middle of a
// remediation has used the budget all the same.
func (l *limiter) start(d *Decision) {
	run := activeRun{id: d.ID(), rule: d.Rule.Name, group: d.Group}
	for _, p := range d.TargetProcesses() {
		run.targets = append(run.targets, p.ID)
		l.actions = append(l.actions, d.Taken)
	}
	l.runs = append(l.runs, run)
	key := run.key()
	c, again := l.cooldowns[key]
	if again && !c.noAction {
		c.relapses = min(c.relapses+1, maxDoublings)
	}
	c.noAction = false
	c.length = max(d.Rule.Cooldown, min(d.Rule.Cooldown, maxDoubled)<<c.relapses)
	c.until = d.Taken.Add(c.length)
	l.cooldowns[key] = c
}

// expire returns a copy of the limiter without everything that has expired.
func (l limiter) expire(now time.Time, limits rules.Limits, present map[closewait.ProcessID]*processState) limiter {
	l.runs = slices.Clone(l.runs)
	l.cooldowns = maps.Clone(l.cooldowns)
	if l.cooldowns == nil {
		l.cooldowns = map[cooldownKey]cooldown{}
	}
	// A leak that comes back within the same time again is a relapse.
	maps.DeleteFunc(l.cooldowns, func(key cooldownKey, c cooldown) bool {
		return now.Sub(c.until) >= c.length && !slices.ContainsFunc(l.runs, func(r activeRun) bool { return r.key() == key })
	})
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

// Ended is the State after a remediation has ended: its cooldown counts from then on.
func (s State) Ended(e RunResult) State {
	l := s.limiters[e.Mode].expire(e.At, s.policy.config.Limits, s.byID)
	i := slices.IndexFunc(l.runs, func(r activeRun) bool { return r.id == e.ID })
	if i < 0 {
		return s
	}
	key := l.runs[i].key()
	if c, cooling := l.cooldowns[key]; cooling {
		c.until, c.noAction = e.At.Add(c.length), e.NoAction
		l.cooldowns[key] = c
	}
	if e.Unkillable {
		for _, id := range l.runs[i].targets {
			l.unkillable[id] = e.At
		}
	}
	l.runs = slices.Delete(l.runs, i, i+1)
	s.limiters[e.Mode] = l
	return s
}

// runOn returns which remediation runs on a process or its group, or has failed to end the process.
func (l *limiter) runOn(id closewait.ProcessID, group string) string {
	for i := range l.runs {
		r := &l.runs[i]
		if r.group == group || slices.Contains(r.targets, id) {
			return "remediation " + r.id + " is running"
		}
	}
	if _, unkillable := l.unkillable[id]; unkillable {
		return "KILL was sent and did not end the process: no rule tries again"
	}
	return ""
}
