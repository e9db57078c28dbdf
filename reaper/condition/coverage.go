package condition

import (
	"fmt"

	"closewait_exporter/reaper/document"
)

// LabelLowCoverage is the decision if too many sockets have no known owner.
const LabelLowCoverage Label = "low_coverage"

// minCoverage is the share of the sockets whose owner must be known.
const minCoverage = 0.95

// coverage requires that the owners are known of nearly all sockets that could be evidence against
// the process. Sockets that other users have opened never are, and neither are those in network
// namespaces in which the process holds no ended socket. So no user and no container can stop rules
// for the processes of others by putting sockets in flight.
var coverage = Condition{
	Name:   "coverage",
	Label:  LabelLowCoverage,
	Blocks: true,
	Holds: func(s Subject) bool {
		f := s.Findings()
		f.Coverage = s.Coverage()
		return f.Coverage >= minCoverage
	},
	Message: func(_ *When, f *Findings) string {
		return fmt.Sprintf("the owners of %.1f%% of the sockets that its user or root has opened are known, %s required", 100*f.Coverage, document.Percent(minCoverage))
	},
}
