package condition

import "cmp"

// LabelInProgress is the decision while a remediation runs on the process or its group.
const LabelInProgress Label = "in_progress"

// inProgress excludes a process while a remediation runs on it or on its group.
var inProgress = Condition{
	Name:         "in_progress",
	DecisionOnly: true,
	Label:        LabelInProgress,
	Holds: func(s Subject) bool {
		f := s.Findings()
		f.Why = s.ActiveRun()
		return f.Why == ""
	},
	Message: func(_ *When, f *Findings) string { return cmp.Or(f.Why, "no remediation runs on the group") },
}
