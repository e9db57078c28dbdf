package document

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// Reader reads one file and collects its problems instead of stopping at the first one.
type Reader struct {
	file     string
	problems Problems // that make the file invalid
	warnings Problems // that are valid but probably unintended

	// Renamed has what to write instead of a key of earlier versions.
	Renamed map[string]string
}

// NewReader returns a Reader whose problems name that file.
func NewReader(file string) *Reader { return &Reader{file: file} }

// File returns the name of the file in problems.
func (r *Reader) File() string { return r.file }

// Problem records an error.
func (r *Reader) Problem(line int, text string) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Text: text})
}

// Warning records a part of the file that is valid but probably unintended.
func (r *Reader) Warning(line int, text string) {
	r.warnings = append(r.warnings, Problem{File: r.file, Line: line, Text: text, Warning: true})
}

// Count returns the number of errors so far, repeated ones included.
func (r *Reader) Count() int { return len(r.problems) }

// Problems returns the errors so far, ordered by line; none if the file is valid.
func (r *Reader) Problems() Problems { return r.problems.inOrder() }

// All returns the errors and warnings so far, ordered by line; the errors of a line come first.
func (r *Reader) All() Problems { return slices.Concat(r.problems, r.warnings).inOrder() }

// Section reads the mapping n, in which every key must be a known one. A missing or null mapping is
// an empty Section. The path stands before a key in a message, such as "rule web: when.".
func (r *Reader) Section(path string, line int, n *yaml.Node, known ...string) *Section {
	s := &Section{reader: r, path: path, line: line, fields: map[string]field{}}
	s.read(n, known)
	return s
}
