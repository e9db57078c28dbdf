package reaper

import (
	"maps"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// maxDoublings bounds how often a cooldown is doubled: 10 minutes grow to 11 hours at most. Longer
// ones than maxDoubled are not, so that nothing overflows.
const (
	maxDoublings = 6
	maxDoubled   = 365 * 24 * time.Hour
)

// How much of what was done is remembered, so that a reload which asks for longer limits finds it.
const (
	spentKept = 24 * time.Hour
	spentMax  = 1000 // or limits.actions, where that is more
)

// stuckKept is for how long a process that KILL did not end is remembered after it was last seen.
const stuckKept = time.Hour

// leash is what was done, and what is being done, by the rules of a mode.
type leash struct {
	ladders   []Ongoing
	cooldowns map[cooldownKey]cooldown
	spent     []time.Time // of each action, oldest first
	frozen    time.Time   // no budget until then, as nobody knows what was done
	stuck     map[closewait.ProcessID]time.Time
}

// Ongoing is a ladder that somebody is on.
type Ongoing struct {
	ID      string
	Rule    string
	Group   string
	Victims []closewait.ProcessID
}

func (o *Ongoing) key() cooldownKey { return cooldownKey{o.Rule, o.Group} }

type cooldownKey struct{ rule, group string }

// cooldown is a pause after something was done to a group by a rule.
type cooldown struct {
	until    time.Time
	length   time.Duration
	relapses int  // in a row
	idle     bool // nothing was done in the end, so that the next time is no relapse
}

// Ending tells the State how a ladder ended.
type Ending struct {
	ID    string
	Mode  Mode
	At    time.Time
	Idle  bool // no step was done
	Stuck bool // KILL did not end the process
}

// left is the number of actions that limits still allow at the time now.
func (l *leash) left(now time.Time, limits Limits) int {
	if now.Before(l.frozen) {
		return 0
	}
	n := limits.Actions
	for _, at := range l.spent {
		if now.Sub(at) < limits.Per {
			n--
		}
	}
	return max(n, 0)
}

// start takes a decision to act into the books before anything is done: who dies in the middle of
// a ladder has spent the budget all the same.
func (l *leash) start(d *Decision) {
	o := Ongoing{ID: d.ID(), Rule: d.Rule.Name, Group: d.Group}
	for _, p := range d.victims() {
		o.Victims = append(o.Victims, p.ID)
		l.spent = append(l.spent, d.Taken)
	}
	l.ladders = append(l.ladders, o)
	key := o.key()
	c, again := l.cooldowns[key]
	if again && !c.idle {
		c.relapses = min(c.relapses+1, maxDoublings)
	}
	c.idle = false
	c.length = max(d.Rule.Cooldown, min(d.Rule.Cooldown, maxDoubled)<<c.relapses)
	c.until = d.Taken.Add(c.length)
	l.cooldowns[key] = c
}

// sweep is a copy of the leash without what is over.
func (l leash) sweep(now time.Time, limits Limits, present map[closewait.ProcessID]*memory) leash {
	l.ladders = slices.Clone(l.ladders)
	l.cooldowns = maps.Clone(l.cooldowns)
	if l.cooldowns == nil {
		l.cooldowns = map[cooldownKey]cooldown{}
	}
	// A leak that comes back within as long again is a relapse.
	maps.DeleteFunc(l.cooldowns, func(key cooldownKey, c cooldown) bool {
		return now.Sub(c.until) >= c.length && !slices.ContainsFunc(l.ladders, func(o Ongoing) bool { return o.key() == key })
	})
	over := 0
	for over < len(l.spent) && (now.Sub(l.spent[over]) >= max(limits.Per, spentKept) || len(l.spent)-over > max(limits.Actions, spentMax)) {
		over++
	}
	l.spent = slices.Clone(l.spent[over:])
	stuck := make(map[closewait.ProcessID]time.Time, len(l.stuck))
	for id, seen := range l.stuck {
		if present[id] != nil {
			seen = now
		}
		if now.Sub(seen) < stuckKept {
			stuck[id] = seen
		}
	}
	l.stuck = stuck
	return l
}

// Ended is the State after a ladder has ended: its cooldown counts from then on.
func (s State) Ended(e Ending) State {
	l := s.leashes[e.Mode].sweep(e.At, s.policy.config.Limits, s.memories)
	i := slices.IndexFunc(l.ladders, func(o Ongoing) bool { return o.ID == e.ID })
	if i < 0 {
		return s
	}
	key := l.ladders[i].key()
	if c, cooling := l.cooldowns[key]; cooling {
		c.until, c.idle = e.At.Add(c.length), e.Idle
		l.cooldowns[key] = c
	}
	if e.Stuck {
		for _, id := range l.ladders[i].Victims {
			l.stuck[id] = e.At
		}
	}
	l.ladders = slices.Delete(l.ladders, i, i+1)
	s.leashes[e.Mode] = l
	return s
}

// on says which ladder a process of a group is on, or was on in vain.
func (l *leash) on(id closewait.ProcessID, group string) string {
	for i := range l.ladders {
		o := &l.ladders[i]
		if o.Group == group || slices.Contains(o.Victims, id) {
			return "ladder " + o.ID
		}
	}
	if _, stuck := l.stuck[id]; stuck {
		return "it was sent KILL and does not end: nothing is tried again"
	}
	return ""
}
