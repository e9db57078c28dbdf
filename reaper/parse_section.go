package reaper

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader reads one rules file and collects all that is wrong in it, instead of stopping at the first.
type reader struct {
	file      string
	problems  Problems       // what makes the file invalid
	warnings  Problems       // what is valid and perhaps not meant
	ruleLines map[string]int // where the rules stand, by name
}

func (r *reader) problem(line int, text string) {
	r.problems = append(r.problems, Problem{r.file, line, text})
}

// section is a mapping of the file: what is written there under which key.
type section struct {
	*reader
	path   string // what stands before a key in a message, such as `rule web: when.`
	line   int    // of the key that the section belongs to
	fields map[string]field
	broken bool // it is no mapping, or some key in it is not known: nothing can be said of what is missing
}

type field struct {
	line  int // of the key
	value *yaml.Node
	wrong bool // it was refused
}

// section reads the mapping n, in which all keys must be known ones. Nothing and null are an empty one.
func (r *reader) section(path string, line int, n *yaml.Node, known ...string) *section {
	s := &section{reader: r, path: path, line: line, fields: map[string]field{}}
	n = resolve(n)
	if isNull(n) {
		return s
	}
	if n.Kind != yaml.MappingNode {
		s.broken = true
		r.problem(n.Line, fmt.Sprintf("%smust have keys below it, indented further: %s", beforeColon(path), strings.Join(known, ", ")))
		return s
	}
	for i := 0; i < len(n.Content); i += 2 {
		s.add(n.Content[i], n.Content[i+1], known)
	}
	return s
}

func (s *section) add(key, content *yaml.Node, known []string) {
	name := resolve(key).Value
	before, twice := s.fields[name]
	switch {
	case !slices.Contains(known, name):
		s.broken = true
		s.problem(key.Line, fmt.Sprintf("%sunknown key %q: %s", beforeColon(s.path), name, knownKeys(known)))
	case twice:
		s.problem(key.Line, fmt.Sprintf("%s%s: given before, in line %d: remove one of the two", s.path, name, before.line))
	default:
		s.fields[name] = field{line: key.Line, value: content}
	}
}

func knownKeys(known []string) string {
	if len(known) == 0 {
		return "there are none here: write {}"
	}
	return "known here are " + strings.Join(known, ", ")
}

// beforeColon makes the path of a section's keys one of the section itself.
func beforeColon(path string) string {
	if section, ok := strings.CutSuffix(path, "."); ok {
		return section + ": "
	}
	return path
}

// sub is the section below a key; an empty one where it is not given.
func (s *section) sub(key string, known ...string) *section {
	below := s.section(s.path+key+".", s.at(key), s.fields[key].value, known...)
	below.broken = below.broken || s.broken && !s.has(key)
	return below
}

func (s *section) has(key string) bool {
	_, given := s.fields[key]
	return given
}

// refused tells whether key is given, and its value was no good.
func (s *section) refused(key string) bool { return s.fields[key].wrong }

// at is the line to name in a message about key.
func (s *section) at(key string) int {
	if f, given := s.fields[key]; given {
		return f.line
	}
	return s.line
}

// refuse says what is wrong with key, or that it is missing.
func (s *section) refuse(key, text string) { s.problem(s.at(key), s.path+key+": "+text) }

func (s *section) warn(key, text string) {
	s.warnings = append(s.warnings, Problem{s.file, s.at(key), s.path + key + ": " + text})
}

// value reads a single value. It is fallback where none is given, or a wrong one.
func value[T any](s *section, key string, fallback T, parse func(string) (T, error)) T {
	f, given := s.fields[key]
	if !given {
		return fallback
	}
	text, err := scalar(f.value)
	if err == nil {
		var v T
		if v, err = parse(text); err == nil {
			return v
		}
	}
	s.refuse(key, err.Error())
	s.fields[key] = field{f.line, f.value, true}
	return fallback
}

// list reads a list of single values and leaves out the wrong ones.
func list[T any](s *section, key string, parse func(string) (T, error)) []T {
	var values []T
	for _, n := range s.entries(key) {
		text, err := scalar(n)
		if err == nil {
			var v T
			if v, err = parse(text); err == nil {
				values = append(values, v)
				continue
			}
		}
		s.problem(n.Line, s.path+key+": "+err.Error())
		s.fields[key] = field{s.at(key), s.fields[key].value, true}
	}
	return values
}

// entries are the elements of a list; none where it is not given, or null.
func (s *section) entries(key string) []*yaml.Node {
	n := resolve(s.fields[key].value)
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		s.refuse(key, "must be a list: put it in brackets, or each entry in a line of its own behind a dash")
		s.fields[key] = field{s.at(key), n, true}
		return nil
	}
	return n.Content
}
