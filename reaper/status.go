package reaper

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/status"
)

// Reasons for which rules must not act: the closed set of closewait_reaper_suspended.
const (
	suspendedFailure  = "scan_failed" // in the last round
	suspendedBreaker  = "breaker"     // of some rule
	suspendedRefused  = "refused"     // some rule cannot be carried out
	suspendedHostLock = "host_lock"   // another reaper holds the host lock, or it cannot be acquired
	suspendedState    = "state_file"  // it cannot be read or written, so past actions are unknown
	suspendedStalled  = "stalled"     // no round ends
)

// suspensions are the reasons, in words too.
var suspensions = []struct{ reason, text string }{
	{string(policy.LabelIncompleteScan), "the last scan could not read everything"},
	{string(condition.LabelLowCoverage), "the owners of too many sockets of a user are unknown"},
	{string(policy.LabelGap), "no scan for too long: the reaper or the host did not run"},
	{suspendedFailure, "the last scan failed"},
	{suspendedBreaker, "a breaker has tripped: a rule selected too many groups within ten minutes"},
	{suspendedRefused, "a rule cannot be carried out with the rights of this program"},
	{suspendedHostLock, "another reaper holds the lock of this host, or it cannot be acquired"},
	{suspendedState, "the state file cannot be used, so past actions are unknown"},
	{suspendedStalled, stalledText},
}

const stalledText = "no round has ended for too long: the reaper hangs"

// current is the status after a round or a remediation. The gauges are set from it.
type current struct {
	status.Status
	suspended map[string]bool                           // by reason
	blocked   map[string]map[policy.Label]time.Duration // see policy.State.Blocked

	candidates map[string]int                          // by rule
	supervised map[string]map[closewait.Supervisor]int // see policy.State.Supervised
}

// reload is the result of reading the rules file.
type reload struct {
	ok bool      // the last time
	at time.Time // of the last success
}

// Status returns what the Reaper does at present. It is safe for concurrent use.
func (r *Reaper) Status() status.Status {
	r.mu.Lock()
	s := r.current.Status
	s.Rules, s.Suspended, s.Reloaded = slices.Clone(s.Rules), slices.Clone(s.Suspended), r.reload.ok
	r.mu.Unlock()
	if r.Stalled() {
		s.Suspended = append(s.Suspended, stalledText)
	}
	r.history.addTo(&s)
	return s
}

// refresh makes the status from the state, and sets the gauges from it.
func (r *Reaper) refresh(now time.Time) {
	c := r.newCurrent(now)
	r.metrics.show(&c)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = c
	r.publish()
}

func (r *Reaper) newCurrent(now time.Time) current {
	mode, limits, matched := r.policy.Mode(), r.policy.Limits(), r.state.Matched()
	c := current{suspended: r.suspended(now), blocked: r.state.Blocked(), candidates: r.state.Candidates(), supervised: r.state.Supervised(), Status: status.Status{
		Enforcing: mode == rules.Enforce, BudgetLeft: r.state.BudgetLeft(mode, now, limits), Budget: limits.Actions, Per: limits.Per, LastRound: r.lastRound,
	}}
	for i := range r.policy.Rules() {
		rule := &r.policy.Rules()[i]
		c.Rules = append(c.Rules, status.Rule{Name: rule.Name, Mode: rule.Mode.String(), Matched: matched[rule.Name]})
	}
	for _, s := range suspensions {
		if c.suspended[s.reason] {
			c.Suspended = append(c.Suspended, s.text)
		}
	}
	return c
}

func (r *Reaper) suspended(now time.Time) map[string]bool {
	suspended := map[string]bool{
		suspendedFailure:  r.scanFailed,
		suspendedBreaker:  r.state.BreakerTripped(),
		suspendedRefused:  r.refused,
		suspendedHostLock: r.lockErr != nil,
		suspendedState:    r.state.Frozen(now),

		string(condition.LabelLowCoverage): r.state.LowCoverage(),
	}
	if label := r.state.Unusable(); label != "" {
		suspended[string(label)] = true
	}
	return suspended
}
