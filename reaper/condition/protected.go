package condition

import "cmp"

// LabelProtected is the decision about a process that no rule may act on.
const LabelProtected Label = "protected"

// protected excludes the exporter itself and the processes that a host cannot do without.
var protected = Condition{
	Name:   "protected",
	Label:  LabelProtected,
	Blocks: true,
	Holds: func(s Subject) bool {
		f := s.Findings()
		f.Why = s.Protection()
		return f.Why == ""
	},
	Message: func(_ *When, f *Findings) string { return cmp.Or(f.Why, "no protection applies") },
}
