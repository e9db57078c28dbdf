package check

import (
	"fmt"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// State is the state of a service. It is also the exit status of a plugin.
type State int

// The states of the guidelines.
const (
	OK State = iota
	Warning
	Critical
	Unknown
)

func (s State) String() string { return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s] }

// Thresholds are the ranges for one state. Each is compared with the value of the process that has
// the largest.
type Thresholds struct {
	Age     Range // seconds since the oldest of its connections ended
	Sockets Range // its ended sockets, accepted or not
	FDs     Range // percent of its soft limit of descriptors that are in use

	// TimeLeft is compared with the smallest value instead: seconds until its descriptors run out, as
	// far as a history knows.
	TimeLeft Range
}

// Result is what a plugin prints. Its texts are safe for a terminal and for monitoring systems.
type Result struct {
	State   State
	Text    string   // one line
	metrics []metric // none if the state is Unknown
	details []string // lines
}

// Failed is the Result when the host could not be checked.
func Failed(err error) Result { return Result{State: Unknown, Text: plain(err.Error())} }

// Evaluate compares the listed processes with the thresholds. The result is OK only if everything
// was seen that could have violated one.
func Evaluate(r *report.Report, warning, critical Thresholds) Result {
	m := measure(r, warning, critical)
	result := Result{metrics: m.all()}
	var violations []string
	for _, metric := range result.metrics {
		state, violation := metric.check()
		if state > result.State {
			result.State, violations = state, nil
		}
		if state == result.State && state != OK {
			violations = append(violations, violation)
		}
	}
	hidden := unseen(r, m)
	switch {
	case result.State != OK:
		result.Text = strings.Join(violations, "; ")
		result.details = append(processes(r), notes(hidden)...)
	case len(hidden) > 0:
		return Result{State: Unknown, Text: plain(strings.Join(hidden, "; ") + advice(r))}
	default:
		result.Text = plain(strings.TrimSuffix(r.Summary()[0], "."))
	}
	if n := unknownAges(r, closewait.Closed); n > 0 {
		result.details = append(result.details, "note: the age of "+report.Count(n, "closed socket")+" counts from the start of this check")
	}
	return result
}

// maxProcesses is the number of processes in the details. NRPE shortens long outputs.
const maxProcesses = 10

// processes has a line for each of the worst processes.
func processes(r *report.Report) []string {
	var lines []string
	for _, h := range r.Listed[:min(len(r.Listed), maxProcesses)] {
		line := name(h) + ": " + report.Count(ended(h), "socket")
		if ended(h) > 0 {
			line += ", oldest " + report.Duration(h.Oldest(r.View.Taken).Truncate(time.Second))
		}
		if used, known := usedFDs(h); known && h.MaxFDs != closewait.UnlimitedFDs {
			line += fmt.Sprintf(", %d of %d descriptors (%g%%)", h.OpenFDs, h.MaxFDs, used)
		}
		lines = append(lines, line)
	}
	if more := len(r.Listed) - maxProcesses; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

func notes(texts []string) []string {
	var lines []string
	for _, text := range texts {
		lines = append(lines, plain("note: "+text))
	}
	return lines
}

func advice(r *report.Report) string {
	if r.Visibility.Root {
		return ""
	}
	return ": run it as root"
}

// name is what people call a process.
func name(h *closewait.Holder) string {
	text := fmt.Sprintf("%s (pid %d", report.Text(h.Group()), h.ID.PID)
	if !h.GroupedByComm() {
		text += ", " + report.Text(h.Comm)
	}
	return plain(text + ")")
}
