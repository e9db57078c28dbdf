package condition

import (
	"fmt"

	"closewait_exporter/closewait"
)

// LabelStopped is the decision about a process that is stopped, traced, frozen or blocked.
const LabelStopped Label = "stopped"

// stopped excludes a process that cannot run: it has had no chance to close anything.
var stopped = Condition{
	Name:      "stopped",
	Label:     LabelStopped,
	OfProcess: func(_ *When, p *closewait.Process) bool { return Running(p) },
	Message: func(_ *When, f *Findings) string {
		switch p := f.Process; {
		case p.Halted != "":
			return p.Halted + ", so it cannot close its sockets"
		case !Running(p):
			return fmt.Sprintf("stopped or traced (state %c), so it cannot close its sockets", p.State)
		default:
			return fmt.Sprintf("state %c", p.State)
		}
	},
}

// Running reports whether nothing is known that keeps a process from running.
func Running(p *closewait.Process) bool { return p.Halted == "" && p.State != 'T' && p.State != 't' }
