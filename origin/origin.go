// Package origin concludes which code of a process makes the sockets that it leaks: from the stacks
// at which they were made and at which their end was read. It is pure: kernel/bpf records stacks,
// kernel/symbols gives names to addresses.
package origin

// Language is where the name of a function is from.
type Language string

// The languages.
const (
	Go      Language = "go"
	Native  Language = "native" // the symbols of an executable file
	PerfMap Language = "perf"   // what a runtime writes down about the code that it generates
)

// Frame is a call on a stack. Its strings are from the process, and can contain anything.
type Frame struct {
	Function string   `json:"function"`
	File     string   `json:"file,omitempty"` // of the source; empty: not known
	Line     int      `json:"line,omitempty"` // 0: not known
	Module   string   `json:"module,omitempty"`
	Language Language `json:"language,omitempty"` // empty: the function has no name
}
