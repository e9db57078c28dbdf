package reaper

import (
	"errors"
	"time"

	"closewait_exporter/closewait"
)

// Why rules are kept from acting: the closed set of closewait_reaper_suspended.
const (
	suspendedFailure = "scan_failed" // the host could not be looked at in the last round
	suspendedBreaker = "breaker"     // of some rule
	suspendedRefused = "refused"     // some rule cannot be carried out
	suspendedClaimed = "claimed"     // another reaper acts on this host
	suspendedState   = "state_file"  // it cannot be read or written, so nobody knows what was done
)

var suspensions = []string{
	LabelIncompleteScan.String(), LabelLowCoverage.String(), LabelGap.String(),
	suspendedFailure, suspendedBreaker, suspendedRefused, suspendedClaimed, suspendedState,
}

// configure makes the counters of all rules of a Policy be born at zero. Those of rules that are no
// more stay: what was done was done.
func (m *Metrics) configure(p *Policy) {
	m.info.Reset()
	m.info.WithLabelValues(p.Mode().String()).Set(1)
	m.matched.Reset()
	for i := range p.rules {
		rule := p.rules[i].Name
		m.matched.WithLabelValues(rule)
		m.freedSockets.WithLabelValues(rule)
		m.freedFDs.WithLabelValues(rule)
		for _, label := range Labels() {
			m.decisions.WithLabelValues(rule, label.String())
		}
		for _, result := range Results {
			m.reaped.WithLabelValues(rule, string(result))
		}
		for _, kind := range StepKinds {
			for _, mode := range []Mode{DryRun, Enforce} {
				m.actions.WithLabelValues(rule, string(kind), mode.String())
				m.failures.WithLabelValues(rule, string(kind), mode.String())
			}
		}
	}
}

// round counts a round that did not fail.
func (m *Metrics) round(decisions []Decision, s *State, now time.Time) {
	type kind struct {
		rule  *Rule
		label Label
	}
	counts := map[kind]int{}
	for i := range decisions {
		counts[kind{decisions[i].Rule, decisions[i].Label}]++
	}
	for k, n := range counts {
		m.decide(k.rule, k.label, n)
	}
	for rule, n := range s.Matched() {
		m.matched.WithLabelValues(rule).Set(float64(n))
	}
	m.lastRound.Set(float64(now.UnixMilli()) / 1000)
	m.state(s, now)
}

// state shows what is left of the budget, and what keeps rules from acting.
func (m *Metrics) state(s *State, now time.Time) {
	mode := s.policy.Mode()
	m.budget.Set(float64(s.leashes[mode].left(now, s.policy.config.Limits)))
	for _, label := range []Label{LabelIncompleteScan, LabelLowCoverage, LabelGap} {
		m.suspend(label.String(), s.gate == label)
	}
	m.suspend(suspendedBreaker, len(s.suspended) > 0)
	m.suspend(suspendedRefused, len(s.policy.refused) > 0)
	m.suspend(suspendedState, now.Before(s.leashes[Enforce].frozen))
}

func (m *Metrics) suspend(reason string, suspended bool) {
	value := 0.0
	if suspended {
		value = 1
	}
	m.suspended.WithLabelValues(reason).Set(value)
}

func (m *Metrics) decide(rule *Rule, label Label, n int) {
	m.decisions.WithLabelValues(rule.Name, label.String()).Add(float64(n))
}

// action counts a step. A guard that denies has done what it is for.
func (m *Metrics) action(rule *Rule, kind StepKind, err error) {
	m.actions.WithLabelValues(rule.Name, string(kind), rule.Mode.String()).Inc()
	if err != nil && !errors.Is(err, closewait.ErrGuardDenied) {
		m.failures.WithLabelValues(rule.Name, string(kind), rule.Mode.String()).Inc()
	}
}

// ended counts what came of a ladder. One that a decision stopped before its first step reaped nothing.
func (m *Metrics) ended(rule *Rule, o *outcome) {
	if o.label != unlabelled {
		m.decide(rule, o.label, 1)
	}
	if rule.Mode == DryRun || !o.touched && o.label != unlabelled {
		return
	}
	m.reaped.WithLabelValues(rule.Name, string(o.Result)).Inc()
	m.freedSockets.WithLabelValues(rule.Name).Add(float64(o.sockets))
	m.freedFDs.WithLabelValues(rule.Name).Add(float64(o.fds))
}

// reloads shows what came of reading the rules file.
func (m *Metrics) reloads(err error, now time.Time) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadTime.Set(float64(now.UnixMilli()) / 1000)
}
