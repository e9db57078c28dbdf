package policy

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// A time without a View of more than this number of intervals is a gap: what was known before it
// says little. A time shorter than minGap is never a gap, because on a busy host every program has
// to wait.
const (
	gapIntervals = 3
	minGap       = 2 * time.Second
)

// Policy decides by a Config under the Options of this start of the program. It is never changed; a
// reload makes another one.
type Policy struct {
	config  *rules.Config
	rules   []rules.Rule // with the Mode in force
	ends    []bool       // by rule: some step can end a process
	byLine  []int        // rules that match command lines
	own     []closewait.ProcessID
	refused map[string]string // rules that must not act, by name, and why

	trustKernelAges bool
}

// Options are the parts of a Policy that are not in the rules file.
type Options struct {
	Enforce bool                  // --reaper.enforce: without it every rule is in dry run
	Own     []closewait.ProcessID // this program and its ancestors
	Refused map[string]string     // rules that must not act, by name, and why

	// TrustKernelAges makes rules that can end processes count the ages that the kernel shows, not
	// only the time for which scans have seen a socket. It is for programs that scan twice and take
	// no action: a peer can forge such an age.
	TrustKernelAges bool
}

// New returns the Policy of a Config.
func New(config *rules.Config, o Options) *Policy {
	p := &Policy{config: config, rules: slices.Clone(config.Rules), own: o.Own, refused: o.Refused, trustKernelAges: o.TrustKernelAges}
	for i := range p.rules {
		if !o.Enforce {
			p.rules[i].Mode = rules.DryRun
		}
		p.ends = append(p.ends, p.rules[i].EndsProcess())
		if p.rules[i].Match.Command != nil {
			p.byLine = append(p.byLine, i)
		}
	}
	return p
}

// Mode is Enforce if some rule acts.
func (p *Policy) Mode() rules.Mode {
	if slices.ContainsFunc(p.rules, func(r rules.Rule) bool { return r.Mode == rules.Enforce }) {
		return rules.Enforce
	}
	return rules.DryRun
}

// Rules returns the rules with the Mode in force. The caller must not change them.
func (p *Policy) Rules() []rules.Rule { return p.rules }

// Limits returns the limits of all rules together.
func (p *Policy) Limits() rules.Limits { return p.config.Limits }

// Fleet returns what decides for many hosts.
func (p *Policy) Fleet() rules.Fleet { return p.config.Fleet }

// Interval is the time between two rounds.
func (p *Policy) Interval() time.Duration { return p.config.Interval }

// MaxGap is the longest time between two Views for which the earlier one still counts.
func (p *Policy) MaxGap() time.Duration { return max(gapIntervals*p.config.Interval, minGap) }
