package condition

import "cmp"

// LabelUnsupervised is the decision about a process that may stay down once it is ended.
const LabelUnsupervised Label = "unsupervised"

// supervised requires that some supervisor starts the process, and the other processes that are
// ended with it, again after each step that ends it. An unknown supervisor counts as none. It comes
// last, because only here something other than the View is asked.
var supervised = Condition{
	Name:   "supervised",
	Label:  LabelUnsupervised,
	Blocks: true,
	Holds: func(s Subject) bool {
		f := s.Findings()
		f.Why, f.Supervisor = s.Unsupervised()
		return f.Why == ""
	},
	Message: func(_ *When, f *Findings) string { return cmp.Or(f.Why, f.Supervisor) },
}
