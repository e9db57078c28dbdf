package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one error or warning in a file.
type Problem struct {
	File    string
	Line    int    // from 1
	Text    string // what is wrong and how to correct it
	Warning bool   // the file is valid, but probably not as intended
}

func (p Problem) Error() string {
	kind := ""
	if p.Warning {
		kind = "warning: "
	}
	return fmt.Sprintf("%s:%d: %s%s", p.File, p.Line, kind, p.Text)
}

// Problems are problems of a file, ordered by line. As an error it has one line per Problem.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes each Problem available to errors.As.
func (p Problems) Unwrap() []error {
	list := make([]error, len(p))
	for i, problem := range p {
		list[i] = problem
	}
	return list
}

// inOrder sorts a copy by line. An alias repeats the problems of its anchor; they are reported
// once.
func (p Problems) inOrder() Problems {
	p = slices.Clone(p)
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return slices.Compact(p)
}
