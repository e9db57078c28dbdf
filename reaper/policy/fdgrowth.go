package policy

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// NeedsFDGrowth reports whether some rule asks how fast the open descriptors of a process grow. The
// caller then reads it for the processes that Watched returns, and passes it to State.LearnFDGrowth
// before Decide.
func (p *Policy) NeedsFDGrowth() bool {
	return slices.ContainsFunc(p.rules, func(r rules.Rule) bool { return r.When.TimeLeft > 0 })
}

// LearnFDGrowth is the State with the growth of the open descriptors of processes for the next
// round. For a process without an entry it is not known.
func (s State) LearnFDGrowth(growth map[closewait.ProcessID]closewait.Growth) State {
	s.fdGrowth = growth
	return s
}
