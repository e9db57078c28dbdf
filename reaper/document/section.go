package document

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Section is a mapping of the file.
type Section struct {
	reader *Reader
	path   string
	line   int // of the key that the section belongs to
	fields map[string]field
	broken bool
}

type field struct {
	line  int // of the key
	value *yaml.Node
	wrong bool // it was refused
}

func (s *Section) read(n *yaml.Node, known []string) {
	n = Resolve(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		s.broken = true
		s.reader.Problem(n.Line, fmt.Sprintf("%smust have keys below it, indented further: %s", beforeColon(s.path), strings.Join(known, ", ")))
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		s.add(n.Content[i], n.Content[i+1], known)
	}
}

func (s *Section) add(key, content *yaml.Node, known []string) {
	name := Resolve(key).Value
	before, twice := s.fields[name]
	switch {
	case !slices.Contains(known, name) && s.reader.Renamed[name] != "":
		s.broken = true
		s.reader.Problem(key.Line, fmt.Sprintf("%s%s: was renamed: write %s", s.path, name, s.reader.Renamed[name]))
	case IsMerge(key):
		s.broken = true
		s.reader.Problem(key.Line, beforeColon(s.path)+MergeAdvice)
	case !slices.Contains(known, name):
		s.broken = true
		s.reader.Problem(key.Line, fmt.Sprintf("%sunknown key %q: %s", beforeColon(s.path), name, knownKeys(known)))
	case twice:
		s.reader.Problem(key.Line, fmt.Sprintf("%s%s: given before, in line %d: remove one of the two", s.path, name, before.line))
	default:
		s.fields[name] = field{line: key.Line, value: content}
	}
}

// MergeAdvice says what to write instead of a merge key.
const MergeAdvice = "merge keys (<<) are not supported: write the keys here too, or share the whole section with an anchor and an alias, such as when: &shared and when: *shared"

// IsMerge reports whether a key is the merge key of YAML 1.1, which stands for the keys of another
// mapping.
func IsMerge(key *yaml.Node) bool { return Resolve(key).ShortTag() == "!!merge" }

func knownKeys(known []string) string {
	if len(known) == 0 {
		return "there are none here: write {}"
	}
	return "known here are " + strings.Join(known, ", ")
}

// beforeColon turns the path of a section's keys into the name of the section itself.
func beforeColon(path string) string {
	if section, ok := strings.CutSuffix(path, "."); ok {
		return section + ": "
	}
	return path
}

// Sub returns the section below a key; an empty one if the key is not given.
func (s *Section) Sub(key string, known ...string) *Section {
	below := s.reader.Section(s.path+key+".", s.At(key), s.fields[key].value, known...)
	below.broken = below.broken || s.broken && !s.Has(key)
	return below
}

// Has reports whether key is given.
func (s *Section) Has(key string) bool {
	_, given := s.fields[key]
	return given
}

// Refused reports whether key is given with a value that is wrong.
func (s *Section) Refused(key string) bool { return s.fields[key].wrong }

// Broken reports whether the section is no mapping or has an unknown key. A key that seems to be
// missing may then be a misspelt one, and is not reported too.
func (s *Section) Broken() bool { return s.broken }

// At returns the line to name in a message about key.
func (s *Section) At(key string) int {
	if f, given := s.fields[key]; given {
		return f.line
	}
	return s.line
}

// Path returns the text before a key in a message.
func (s *Section) Path() string { return s.path }

// Refuse reports an error in the value of key, or that key is missing.
func (s *Section) Refuse(key, text string) { s.reader.Problem(s.At(key), s.path+key+": "+text) }

// RefuseAll reports an error in the section as a whole.
func (s *Section) RefuseAll(text string) { s.reader.Problem(s.line, beforeColon(s.path)+text) }

// Warn reports a value of key that is valid but probably unintended.
func (s *Section) Warn(key, text string) { s.reader.Warning(s.At(key), s.path+key+": "+text) }

// WarnAll reports a section that is valid but probably unintended.
func (s *Section) WarnAll(text string) { s.reader.Warning(s.line, beforeColon(s.path)+text) }

// Text is a single value as it is written, without quotes.
type Text struct {
	Line int
	Text string
}

// Texts returns the single value of key, or the single values in its list.
func (s *Section) Texts(key string) []Text {
	var texts []Text
	add := func(line int, n *yaml.Node) {
		if text, err := scalar(n); err == nil {
			texts = append(texts, Text{line, text})
		}
	}
	n := Resolve(s.fields[key].value)
	if n == nil || n.Kind != yaml.SequenceNode {
		add(s.At(key), n)
		return texts
	}
	for _, element := range n.Content {
		add(element.Line, element)
	}
	return texts
}

// WarnAt is Warn about a value in another line, such as an element of a list.
func (s *Section) WarnAt(line int, key, text string) { s.reader.Warning(line, s.path+key+": "+text) }

// Written reports whether key is given and not as empty text.
func (s *Section) Written(key string) bool {
	text, err := scalar(s.fields[key].value)
	return err != nil && s.Has(key) || text != ""
}

// Value reads a single value. It returns fallback if the key is missing or its value is wrong.
func Value[T any](s *Section, key string, fallback T, parse func(string) (T, error)) T {
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
	s.Refuse(key, err.Error())
	s.fields[key] = field{f.line, f.value, true}
	return fallback
}

// Decode reads the section below key, whose keys another package defines, into v, which keeps its
// value if the key is missing. Unknown keys are errors.
func Decode(s *Section, key string, v any) {
	f, given := s.fields[key]
	if !given {
		return
	}
	var plain any // without aliases, whose anchors can be elsewhere
	err := f.value.Decode(&plain)
	var text []byte
	if err == nil {
		text, err = yaml.Marshal(plain)
	}
	if err == nil {
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		err = decoder.Decode(v)
	}
	if err != nil {
		s.Refuse(key, decodeError(err))
		s.fields[key] = field{f.line, f.value, true}
	}
}

// yamlLine is a line of the text that Decode makes, which is no line of the file.
var yamlLine = regexp.MustCompile(`line \d+: `)

// decodeError is the text of an error of package yaml, on one line.
func decodeError(err error) string {
	if of, ok := errors.AsType[*yaml.TypeError](err); ok {
		return yamlLine.ReplaceAllString(strings.Join(of.Errors, "; "), "")
	}
	return yamlLine.ReplaceAllString(err.Error(), "")
}

// List reads a list of single values and leaves out the wrong ones.
func List[T any](s *Section, key string, parse func(string) (T, error)) []T {
	var values []T
	for _, n := range s.Entries(key) {
		text, err := scalar(n)
		if err == nil {
			var v T
			if v, err = parse(text); err == nil {
				values = append(values, v)
				continue
			}
		}
		s.reader.Problem(n.Line, s.path+key+": "+err.Error())
		s.fields[key] = field{s.At(key), s.fields[key].value, true}
	}
	return values
}

// Entries returns the elements of a list; none if it is missing or null.
func (s *Section) Entries(key string) []*yaml.Node {
	n := Resolve(s.fields[key].value)
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		s.Refuse(key, "must be a list: put it in brackets, or each entry in a line of its own behind a dash")
		s.fields[key] = field{s.At(key), n, true}
		return nil
	}
	return n.Content
}
