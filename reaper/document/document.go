package document

import (
	"bytes"
	"errors"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// searchBytes bounds how much is parsed again to find the line of a mistake.
const searchBytes = 4 << 20

// yamlPosition is the prefix of the errors of package yaml. Its line is the line of the block
// around the mistake, or the line before it, or missing. errorLine finds a better one.
var yamlPosition = regexp.MustCompile(`^yaml: (line \d+: )?`)

// Root returns the root of the one YAML document in data; nil if there is none.
func (r *Reader) Root(data []byte) *yaml.Node {
	lines := &lineReader{rest: data}
	decoder := yaml.NewDecoder(lines)
	var first, second yaml.Node
	err := decoder.Decode(&first)
	if errors.Is(err, io.EOF) {
		r.Problem(1, `the file is empty: write "rules:" and at least one rule below it`)
		return nil
	}
	if err == nil {
		err = decoder.Decode(&second)
	}
	switch {
	case err == nil:
		r.Problem(second.Line, "a second document begins here: only one is read, so put everything into the first and remove the ---")
	case !errors.Is(err, io.EOF):
		what := yamlPosition.ReplaceAllString(err.Error(), "")
		r.Problem(errorLine(data[:len(data)-len(lines.rest)]), "not YAML: "+what+": check indentation, quotes and brackets here and in the line above")
		return nil
	}
	return first.Content[0]
}

// errorLine returns the line of the mistake in data, which ends where package yaml gave up: the
// first line after the longest prefix that is valid YAML.
func errorLine(data []byte) int {
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

// lineCount includes a last line without a newline.
func lineCount(data []byte) int {
	return bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) + min(len(data), 1)
}

// lineReader returns one line per read, so that rest shows how far the decoder came.
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
