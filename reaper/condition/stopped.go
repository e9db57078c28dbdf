package condition

import (
	"fmt"

	"closewait_exporter/closewait"
)

// LabelStopped is the decision about a process that is stopped, traced or frozen.
const LabelStopped Label = "stopped"

// stopped excludes a process that is stopped or traced: it has had no chance to close anything.
var stopped = Condition{
	Name:      "stopped",
	Label:     LabelStopped,
	OfProcess: func(_ *When, p *closewait.Process) bool { return Running(p) },
	Message: func(_ *When, f *Findings) string {
		if Running(f.Process) {
			return fmt.Sprintf("state %c", f.Process.State)
		}
		return fmt.Sprintf("stopped or traced (state %c), so it cannot close its sockets", f.Process.State)
	},
}

// Running reports whether a process is neither stopped nor traced.
func Running(p *closewait.Process) bool { return p.State != 'T' && p.State != 't' }
