package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"closewait_exporter/reaper/document"
	"closewait_exporter/reaper/step"
)

// parsedStep is a step and its place in the file.
type parsedStep struct {
	step.Step
	line  int
	path  string // the start of a message about it
	wrong bool   // its options were refused
}

// steps reads the steps of a rule, also those with wrong options: their kind is known.
func (p *parser) steps(s *document.Section) []parsedStep {
	entries := s.Entries("steps")
	if len(entries) == 0 && !s.Broken() && !s.Refused("steps") {
		s.Refuse("steps", "is missing: say what to do, such as - signal: {name: TERM}; a dry run needs it too, to show what it would do")
	}
	var list []parsedStep
	for i, n := range entries {
		path := fmt.Sprintf("%sstep %d", s.Path(), i+1)
		kind, options, err := stepKind(document.Resolve(n))
		if err != nil {
			p.Problem(n.Line, path+": "+err.Error())
			continue
		}
		path += " (" + kind.Name + ")"
		before := p.Count()
		read := kind.Read(p.Section(path+": ", n.Line, options, kind.Keys...))
		list = append(list, parsedStep{read, n.Line, path, p.Count() > before})
	}
	return list
}

// stepKind separates the kind of a step, a mapping with one key, from its options.
func stepKind(n *yaml.Node) (step.Kind, *yaml.Node, error) {
	if _, known := step.KindOf(n.Value); known && n.Kind == yaml.ScalarNode {
		return step.Kind{}, nil, fmt.Errorf("has no colon: write %s: {}", n.Value)
	}
	switch {
	case n.Kind == yaml.MappingNode && slices.ContainsFunc(n.Content, document.IsMerge):
		return step.Kind{}, nil, errors.New(document.MergeAdvice)
	case n.Kind != yaml.MappingNode:
		return step.Kind{}, nil, errors.New("is not a step: write such as signal: {name: TERM}")
	case len(n.Content) != 2:
		return step.Kind{}, nil, errors.New("must have one key, with its options indented below it or in braces, such as signal: {name: TERM}; " +
			"each step begins with a dash")
	}
	name := document.Resolve(n.Content[0]).Value
	kind, known := step.KindOf(name)
	if !known {
		return step.Kind{}, nil, fmt.Errorf("unknown step %q: known are %s", name, strings.Join(step.Names(), ", "))
	}
	return kind, n.Content[1], nil
}
