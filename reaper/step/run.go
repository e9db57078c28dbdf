package step

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

const defaultTimeout = 30 * time.Second

var run = Kind{
	Name: "run",
	Keys: []string{"command", "timeout", "record"},
	Read: func(s *document.Section) Step {
		record := document.List(s, "record", parseRecorded)
		return Run{
			Command:         readCommand(s),
			Timeout:         document.Value(s, "timeout", defaultTimeout, document.ParsePositive),
			RecordArguments: slices.Contains(record, recordArguments),
			RecordOutput:    slices.Contains(record, recordOutput),
		}
	},
}

// Run runs a guard: the next step is only run if the guard exits with status 0. The log and the
// audit file get its arguments and its output, which can be secret, only if the rule says so.
type Run struct {
	Command         []string
	Timeout         time.Duration
	RecordArguments bool
	RecordOutput    bool
}

// The values of record.
const (
	recordArguments = "arguments"
	recordOutput    = "output"
)

func parseRecorded(text string) (string, error) {
	if text != recordArguments && text != recordOutput {
		return "", fmt.Errorf("%q is not known: write %s or %s", text, recordArguments, recordOutput)
	}
	return text, nil
}

var (
	placeholder  = regexp.MustCompile(`\{[a-z_]+\}`)
	placeholders = []string{"{pid}", "{rule}", "{group}"}
)

func readCommand(s *document.Section) []string {
	command := document.List(s, "command", parseArgument)
	switch {
	case s.Refused("command") || s.Broken():
		return nil
	case len(command) == 0:
		s.Refuse("command", `is empty: write the program and its arguments as a list, such as [/usr/local/bin/drain, "{pid}"]`)
		return nil
	case !strings.HasPrefix(command[0], "/"):
		s.Refuse("command", fmt.Sprintf("%q is not an absolute path: write the full path; PATH is not searched, and there is no shell", command[0]))
	case placeholder.MatchString(command[0]):
		s.Refuse("command", fmt.Sprintf("%q has a placeholder in the program: a process could choose what is run; use it in the arguments", command[0]))
	}
	for _, argument := range command {
		for _, p := range placeholder.FindAllString(argument, -1) {
			if !slices.Contains(placeholders, p) {
				s.Warn("command", fmt.Sprintf("%s is not replaced: placeholders are %s", p, strings.Join(placeholders, ", ")))
			}
		}
	}
	return command
}

func parseArgument(text string) (string, error) {
	if strings.ContainsRune(text, 0) {
		return "", errors.New("a NUL byte cannot stand in an argument: remove it")
	}
	return text, nil
}

// Kind implements Step.
func (Run) Kind() string { return run.Name }

// String has the program without its arguments. It is shown on the page.
func (r Run) String() string {
	if len(r.Command) == 0 {
		return run.Name
	}
	program := r.Command[0]
	if strings.ContainsAny(program, " \"\n\t") {
		program = strconv.Quote(program)
	}
	return run.Name + " " + program
}

// Traits implements Step.
func (Run) Traits() Traits { return Traits{Guards: true, AppliesOnce: true} }

// Permitted implements Step.
func (r Run) Permitted(rights Rights) error { return rights.RunGuard(r.Command) }

// Apply implements Step. An error is closewait.ErrGuardDenied or closewait.ErrGuardFailed.
func (r Run) Apply(ctx context.Context, t *Target) (Result, error) {
	guard, err := t.Guard()
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
	}
	guard.Command, guard.Timeout = r.Command, r.Timeout
	output, err := t.Executor.RunGuard(ctx, guard)
	if err != nil && !errors.Is(err, closewait.ErrGuardDenied) && !errors.Is(err, closewait.ErrGuardFailed) {
		err = fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
	}
	var result Result
	if r.RecordArguments {
		result.Arguments = r.Command[1:]
	}
	if r.RecordOutput {
		result.Output = output
	}
	return result, err
}
