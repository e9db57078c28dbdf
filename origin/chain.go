package origin

import (
	"fmt"
	"path"
	"strings"
)

// maxChain is the number of calls of the program's own code that a line shows.
const maxChain = 4

// String describes a call in one line: "main.fetch client.go:88". Names are as the process gives
// them.
func (f *Frame) String() string {
	name := f.Function
	if name == "" {
		name = "[" + moduleName(f.Module) + "]"
	}
	if f.File == "" {
		return name
	}
	name += " " + path.Base(f.File)
	if f.Line > 0 {
		name += fmt.Sprintf(":%d", f.Line)
	}
	return name
}

// moduleName names code without a function.
func moduleName(module string) string {
	switch {
	case module == "":
		return "code without a name"
	case strings.HasPrefix(module, "["):
		return strings.Trim(module, "[]")
	case strings.HasPrefix(module, "//anon"):
		return "generated code"
	}
	return path.Base(module)
}

// Chain returns the calls of a stack from its place outwards, without those of libraries. more says
// that there are others.
func (t *Trace) Chain(c *Call, place int) (calls []string, more bool) {
	for i := place; i < len(c.Stack); i++ {
		f := &c.Stack[i]
		if i > place && (f.Function == "" || f.Library(t.exe())) {
			continue
		}
		if len(calls) == maxChain {
			return calls, true
		}
		calls = append(calls, f.String())
	}
	return calls, c.Cut
}
