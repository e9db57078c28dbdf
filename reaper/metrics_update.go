package reaper

import (
	"errors"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// configure creates the counters of all rules of a Policy, at 0. Counters of rules that no longer
// exist stay, since their actions did happen.
func (m *metrics) configure(p *policy.Policy) {
	m.matched.Reset()
	m.blocked.Reset()
	m.candidates.Reset()
	m.supervised.Reset()
	for i := range p.Rules() {
		rule := p.Rules()[i].Name
		m.freedSockets.WithLabelValues(rule)
		m.freedFDs.WithLabelValues(rule)
		for _, by := range policy.Blockers() {
			m.blocked.WithLabelValues(rule, string(by))
		}
		for _, by := range closewait.Supervisors {
			m.supervised.WithLabelValues(rule, string(by))
		}
		for _, label := range policy.Labels() {
			m.decisions.WithLabelValues(rule, string(label))
		}
		for _, result := range Results {
			m.remediations.WithLabelValues(rule, string(result))
		}
		for _, kind := range step.Names() {
			for _, mode := range []rules.Mode{rules.DryRun, rules.Enforce} {
				m.actions.WithLabelValues(rule, kind, mode.String())
				m.failures.WithLabelValues(rule, kind, mode.String())
			}
		}
	}
}

// show sets the gauges to a status.
func (m *metrics) show(c *current) {
	mode, other := rules.DryRun, rules.Enforce
	if c.Enforcing {
		mode, other = other, mode
	}
	m.info.DeleteLabelValues(other.String())
	m.info.WithLabelValues(mode.String()).Set(1)
	for _, rule := range c.Rules {
		m.matched.WithLabelValues(rule.Name).Set(float64(rule.Matched))
		for _, mode := range []rules.Mode{rules.DryRun, rules.Enforce} {
			n := 0
			if rule.Mode == mode.String() {
				n = c.candidates[rule.Name]
			}
			m.candidates.WithLabelValues(rule.Name, mode.String()).Set(float64(n))
		}
		for _, by := range closewait.Supervisors {
			m.supervised.WithLabelValues(rule.Name, string(by)).Set(float64(c.supervised[rule.Name][by]))
		}
		for _, by := range policy.Blockers() {
			m.blocked.WithLabelValues(rule.Name, string(by)).Set(c.blocked[rule.Name][by].Seconds())
		}
	}
	if !c.LastRound.IsZero() {
		m.lastRound.Set(float64(c.LastRound.UnixMilli()) / 1000)
	}
	m.budget.Set(float64(c.BudgetLeft))
	for _, s := range suspensions {
		m.suspend(s.reason, c.suspended[s.reason])
	}
}

// suspend sets whether a reason keeps rules from acting.
func (m *metrics) suspend(reason string, suspended bool) {
	value := 0.0
	if suspended {
		value = 1
	}
	m.suspended.WithLabelValues(reason).Set(value)
}

// showReload sets the gauges to the result of reading the rules file.
func (m *metrics) showReload(r reload) {
	value := 0.0
	if r.ok {
		value = 1
	}
	m.reloadOK.Set(value)
	m.reloadTime.Set(float64(r.at.UnixMilli()) / 1000)
}

// count counts the decisions of a round.
func (m *metrics) count(decisions []policy.Decision) {
	type kind struct {
		rule  *rules.Rule
		label policy.Label
	}
	counts := map[kind]int{}
	for i := range decisions {
		counts[kind{decisions[i].Rule, decisions[i].Label}]++
	}
	for k, n := range counts {
		m.decide(k.rule, k.label, n)
	}
}

func (m *metrics) decide(rule *rules.Rule, label policy.Label, n int) {
	m.decisions.WithLabelValues(rule.Name, string(label)).Add(float64(n))
}

// notFailures are the errors of steps that decided not to act, or not now.
var notFailures = []error{closewait.ErrGuardDenied, closewait.ErrRefused, closewait.ErrUnitBusy, closewait.ErrDisruptionBudget, closewait.ErrTerminating}

// action counts a step.
func (m *metrics) action(rule *rules.Rule, kind string, err error) {
	m.actions.WithLabelValues(rule.Name, kind, rule.Mode.String()).Inc()
	declined := slices.ContainsFunc(notFailures, func(target error) bool { return errors.Is(err, target) })
	if err != nil && !declined {
		m.failures.WithLabelValues(rule.Name, kind, rule.Mode.String()).Inc()
	}
}

// ended counts the result of a remediation. One that a decision stopped before its first step has
// no result.
func (m *metrics) ended(rule *rules.Rule, o *outcome) {
	if o.label != "" {
		m.decide(rule, o.label, 1)
	}
	if rule.Mode == rules.DryRun || !o.tried && o.label != "" {
		return
	}
	m.remediations.WithLabelValues(rule.Name, string(o.Result)).Inc()
	m.freedSockets.WithLabelValues(rule.Name).Add(float64(o.sockets))
	m.freedFDs.WithLabelValues(rule.Name).Add(float64(o.fds))
}
