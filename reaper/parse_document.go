package reaper

import (
	"bytes"
	"errors"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// searchBytes bounds how much is parsed again to find the line of a mistake.
const searchBytes = 4 << 20

// yamlPosition stands before what package yaml finds wrong. It is the line of the block around the
// mistake, or the one before that, or missing. blame finds a better one.
var yamlPosition = regexp.MustCompile(`^yaml: (line \d+: )?`)

// document returns the root of the one YAML document in data, or nil where there is none.
func (r *reader) document(data []byte) *yaml.Node {
	lines := &lineReader{rest: data}
	decoder := yaml.NewDecoder(lines)
	var first, second yaml.Node
	err := decoder.Decode(&first)
	if errors.Is(err, io.EOF) {
		r.problem(1, `the file is empty: write "rules:" and below it at least one rule`)
		return nil
	}
	if err == nil {
		err = decoder.Decode(&second)
	}
	switch {
	case err == nil:
		r.problem(second.Line, "a second document begins here: only one is read, so put all rules below one rules: and remove the ---")
	case !errors.Is(err, io.EOF):
		what := yamlPosition.ReplaceAllString(err.Error(), "")
		r.problem(blame(data[:len(data)-len(lines.rest)]), "not YAML: "+what+": look at indentation, quotes and brackets here and in the line above")
		return nil
	}
	return first.Content[0]
}

// blame returns the line with the mistake in data, which ends where package yaml gave up: the first
// line that makes all before it, which is YAML, something else.
func blame(data []byte) int {
	gaveUp := lineCount(data)
	for budget := searchBytes; len(data) > 0 && budget > 0; budget -= len(data) {
		data = data[:bytes.LastIndexByte(data[:len(data)-1], '\n')+1]
		if isYAML(data) {
			return lineCount(data) + 1
		}
	}
	return gaveUp
}

func isYAML(data []byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		if err := decoder.Decode(&n); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// lineCount counts a last line without an end.
func lineCount(data []byte) int {
	return bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) + min(len(data), 1)
}

// lineReader gives out one line at a time, so that what is left tells how far its reader came.
type lineReader struct{ rest []byte }

func (l *lineReader) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.rest)
	if end := bytes.IndexByte(l.rest[:n], '\n'); end >= 0 {
		n = end + 1
	}
	l.rest = l.rest[n:]
	return n, nil
}
