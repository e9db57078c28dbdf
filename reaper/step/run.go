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
	Keys: []string{"command", "timeout"},
	Read: func(s *document.Section) Step {
		return Run{Command: readCommand(s), Timeout: document.Value(s, "timeout", defaultTimeout, document.ParsePositive)}
	},
}

// Run runs a guard: the next step is only run if the guard exits with status 0.
type Run struct {
	Command []string
	Timeout time.Duration
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

// String quotes the arguments that would be ambiguous without quotes.
func (r Run) String() string {
	var text strings.Builder
	text.WriteString(run.Name)
	for _, argument := range r.Command {
		if argument == "" || strings.ContainsAny(argument, " \"\n\t") {
			argument = strconv.Quote(argument)
		}
		text.WriteString(" " + argument)
	}
	return text.String()
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
	return Result{Detail: output}, err
}
