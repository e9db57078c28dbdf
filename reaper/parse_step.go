package reaper

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// What a step need not say.
const (
	defaultTimeout = 30 * time.Second
	defaultWait    = 10 * time.Second
)

// stepKeys are the options of each kind of step.
var stepKeys = map[StepKind][]string{
	StepRaiseNoFile: {"to"},
	StepRun:         {"command", "timeout"},
	StepDestroy:     {},
	StepShutdown:    {},
	StepThreadDump:  {},
	StepSignal:      {"name", "wait"},
}

// rung is a step and its place in the file.
type rung struct {
	Step
	line  int
	path  string // what a message about it begins with
	wrong bool   // its options were refused
}

// rungs reads the steps of a rule. One whose options are wrong is there all the same: its kind is known.
func (s *section) rungs() []rung {
	entries := s.entries("steps")
	if len(entries) == 0 && !s.broken && !s.refused("steps") {
		s.refuse("steps", "is missing: say what is to be done, such as - signal: {name: TERM}; dry runs need it too, to say what they would do")
	}
	var list []rung
	for i, n := range entries {
		path := fmt.Sprintf("%sstep %d", s.path, i+1)
		kind, options, err := stepKind(resolve(n))
		if err != nil {
			s.problem(n.Line, path+": "+err.Error())
			continue
		}
		path += " (" + string(kind) + ")"
		before := len(s.problems)
		step := readStep(kind, s.section(path+": ", n.Line, options, stepKeys[kind]...))
		list = append(list, rung{step, n.Line, path, len(s.problems) > before})
	}
	return list
}

// stepKind takes a step, a mapping with one key, apart.
func stepKind(n *yaml.Node) (StepKind, *yaml.Node, error) {
	switch {
	case n.Kind == yaml.ScalarNode && stepKeys[StepKind(n.Value)] != nil:
		return "", nil, fmt.Errorf("has no colon: write %s: {}", n.Value)
	case n.Kind != yaml.MappingNode:
		return "", nil, errors.New("is not a step: write such as signal: {name: TERM}")
	case len(n.Content) != 2:
		return "", nil, errors.New("must have one key, with its options indented below it or in braces, such as signal: {name: TERM}; " +
			"each step begins with a dash")
	}
	kind := StepKind(resolve(n.Content[0]).Value)
	if stepKeys[kind] == nil {
		return "", nil, fmt.Errorf("unknown step %q: known are %s", kind, strings.Join(stepNames(), ", "))
	}
	return kind, n.Content[1], nil
}

func stepNames() []string {
	names := make([]string, len(StepKinds))
	for i, kind := range StepKinds {
		names[i] = string(kind)
	}
	return names
}

func readStep(kind StepKind, s *section) Step {
	step := Step{Kind: kind}
	switch kind {
	case StepRaiseNoFile:
		step.Raise = value(s, "to", NoFile{Hard: true}, parseNoFile)
	case StepRun:
		step.Command = readCommand(s)
		step.Timeout = value(s, "timeout", defaultTimeout, parsePositive)
	case StepSignal:
		step.Signal = value(s, "name", "", parseSignal)
		step.Wait = value(s, "wait", defaultWait, parsePositive)
		if !s.has("name") && !s.broken {
			s.refuse("name", "is missing: say which signal, such as TERM")
		}
	case StepDestroy, StepShutdown, StepThreadDump: // they have no options
	}
	return step
}

func parseNoFile(text string) (NoFile, error) {
	if text == "hard" {
		return NoFile{Hard: true}, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return NoFile{}, fmt.Errorf("%q is no limit: write hard, or a number of descriptors", text)
	}
	return NoFile{To: n}, nil
}
