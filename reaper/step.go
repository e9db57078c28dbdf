package reaper

import (
	"fmt"
	"strings"
)

// String is the step as the log and the audit file name it.
func (s *Step) String() string {
	switch s.Kind {
	case StepRaiseNoFile:
		if s.Raise.Hard {
			return "raise_nofile to hard"
		}
		return fmt.Sprintf("raise_nofile to %d", s.Raise.To)
	case StepRun:
		return "run " + strings.Join(s.Command, " ")
	case StepSignal:
		return "signal " + s.Signal
	}
	return string(s.Kind)
}

// kills tells whether nobody can do more than this step.
func (s *Step) kills() bool { return s.Kind == StepSignal && s.Signal == "KILL" }
