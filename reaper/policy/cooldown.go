package policy

import (
	"fmt"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// A cooldown is doubled at most maxDoublings times: 10 minutes become 11 hours. A cooldown longer
// than maxDoubled is not doubled, so that nothing overflows.
const (
	maxDoublings = 6
	maxDoubled   = 365 * 24 * time.Hour
)

// startPrecision is how much too early the published start time of a process can be: it is based on
// btime of /proc/stat, which has whole seconds, and on clock ticks of 10 ms.
const startPrecision = time.Second + 10*time.Millisecond

// cooldown is the pause after actions of a rule on a group. It is for the processes whose leak
// shows that the remedy did not last: those that were acted on, and those that started afterwards.
// Other processes of the group leak on their own, and are acted on one after the other.
type cooldown struct {
	until    time.Time
	length   time.Duration
	relapses int // in a row
	// since is the first action after the last relapse, by State.steady.
	since   time.Time
	targets []closewait.ProcessID // acted on since then
}

// covers reports whether a leak of the process is a relapse. A process with an unknown start time
// counts as started after the action.
func (c *cooldown) covers(p *closewait.Process) bool {
	return !c.since.IsZero() && (slices.Contains(c.targets, p.ID) || p.StartTime.IsZero() || !p.StartTime.Before(c.since.Add(-startPrecision)))
}

// afterAction returns the cooldown after another action.
func (c cooldown) afterAction(d *Decision, steady time.Time) cooldown {
	targets := d.TargetProcesses()
	switch {
	case c.since.IsZero():
		c.since = steady
	case slices.ContainsFunc(targets, c.covers):
		c.relapses = min(c.relapses+1, maxDoublings)
		c.since, c.targets = steady, nil
	}
	c.targets = slices.Clone(c.targets) // States share it
	for _, p := range targets {
		c.targets = append(c.targets, p.ID)
	}
	c.length = max(d.Rule.Cooldown, min(d.Rule.Cooldown, maxDoubled)<<c.relapses)
	c.until = d.Taken.Add(c.length)
	return c
}

// retry is the pause of a rule for a process after a remediation that did nothing, for example
// because the guard denied it. It is doubled each time, so that the audit file does not fill.
type retry struct {
	until time.Time
	pause time.Duration
	by    Label // one of Blockers: what stopped the remediation; empty if none did
}

type ruleProcess struct {
	rule string
	id   closewait.ProcessID
}

// after returns the pause after one more remediation that did nothing.
func (r retry) after(e *RunResult, shortest, longest time.Duration) retry {
	r.pause = min(max(2*r.pause, shortest), longest)
	r.until, r.by = e.At.Add(r.pause), unlabelled
	if slices.Contains(blockers, e.Label) {
		r.by = e.Label
	}
	return r
}

// Cooldown implements condition.Subject.
func (e *evaluation) Cooldown() (left time.Duration, relapses int) {
	l := &e.next.limiters[e.rule.Mode]
	c := l.cooldowns[ruleGroup{e.rule.Name, e.limitGroups()[0]}]
	covered := c.covers(&e.Process) || slices.ContainsFunc(e.with, func(p *processState) bool { return c.covers(&p.Process) })
	if covered {
		left = max(c.until.Sub(e.view.Taken), 0)
	}
	r := l.retries[ruleProcess{e.rule.Name, e.ID}]
	e.d.attempts = r.pause
	if again := r.until.Sub(e.view.Taken); again > left {
		e.d.Why = fmt.Sprintf("the last remediation did nothing, next attempt after %s", r.pause)
		left, e.d.retryAfter, e.d.retrying = again, r.by, true
	}
	return left, c.relapses
}

// limitGroup names the group of a process for cooldowns and the breaker. Anybody can choose a comm,
// so a group by comm is one group per user: no process can take the cooldown of another user's.
func limitGroup(p *closewait.Process) string {
	group := p.Group()
	if p.GroupedByComm() {
		return fmt.Sprintf("%s (uid %d)", group, p.UID)
	}
	return group
}
