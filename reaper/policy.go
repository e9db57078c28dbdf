package reaper

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// minCoverage is the share of the sockets whose owner must be known for a round to count.
const minCoverage = 0.95

// For so many intervals nobody may have looked: after more than that, what was known before says
// little. Less than leastGap is none, as a busy host makes any program wait.
const (
	gapIntervals = 3
	leastGap     = 2 * time.Second
)

// Policy is what decisions are made by: a Config under the terms of this start of the program. It
// is never changed; a reload makes another one.
type Policy struct {
	config *Config
	rules  []Rule // with the Mode in force
	ends   []bool // by rule: some step can end a process
	own    []closewait.ProcessID
	// refused has the rules that must not act, and why.
	refused map[string]string
}

// Terms are what the rules file cannot say.
type Terms struct {
	Enforce bool                  // --reaper.enforce: without it every rule is in dry run
	Own     []closewait.ProcessID // this program and its ancestors
	Refused map[string]string     // rules that cannot be carried out, and why: see SelfTest
}

// NewPolicy returns the Policy of a Config under some Terms.
func NewPolicy(config *Config, terms Terms) *Policy {
	p := &Policy{config: config, rules: slices.Clone(config.Rules), own: terms.Own, refused: terms.Refused}
	for i := range p.rules {
		if !terms.Enforce {
			p.rules[i].Mode = DryRun
		}
		p.ends = append(p.ends, p.rules[i].ends())
	}
	return p
}

// Mode is Enforce when some rule is to act.
func (p *Policy) Mode() Mode {
	if slices.ContainsFunc(p.rules, func(r Rule) bool { return r.Mode == Enforce }) {
		return Enforce
	}
	return DryRun
}

func (p *Policy) gapAfter() time.Duration { return max(gapIntervals*p.config.Interval, leastGap) }

// ends tells whether some step of the rule can end a process.
func (r *Rule) ends() bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.EndsProcess() })
}
