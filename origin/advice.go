package origin

import (
	"path"
	"strings"
)

// advice is a sentence for stacks that do not show the code which leaks.
type advice struct {
	applies func(t *Trace, c *Call) bool
	text    string
}

var advices = []advice{
	{dialledByTransport, "The connections were dialled by a goroutine of net/http, which does not know the request: a response whose Body is not closed. " +
		"/debug/pprof/goroutine?debug=1 of net/http/pprof and the linter bodyclose show where."},
	{byRing, "These calls run in io_uring_enter(2), on behalf of a request that was made elsewhere: bpftrace on the tracepoint io_uring:io_uring_submit_req shows where."},
	{interpreted("node"), "Node reads and accepts in its event loop, without JavaScript on the stack: node --inspect shows the code behind callbacks, " +
		"node --perf-basic-prof gives names to what is there."},
	{interpreted("java"), "Functions of Java have names if the JVM runs with -XX:+PreserveFramePointer, jcmd PID Compiler.perfmap is called before the end of the trace, " +
		"and the JVM has compiled them: those that it interprets have none."},
	{interpreted("python"), "Functions of Python have names with python -X perf, from version 3.12, if the interpreter was built with frame pointers. " +
		"py-spy dump shows what it does now."},
	{withoutFramePointers, "Stacks end where code has no frame pointers: compile with -fno-omit-frame-pointer, " +
		"or use the OpenTelemetry eBPF profiler, which unwinds without them."},
}

// Advice returns what a person can do about stacks that do not show the code which leaks.
func Advice(t *Trace) (texts []string) {
	for _, a := range advices {
		for i := range t.Sockets {
			if a.applies(t, &t.Sockets[i].Born) {
				texts = append(texts, a.text)
				break
			}
		}
	}
	return texts
}

func (c *Call) has(function string) bool {
	for i := range c.Stack {
		if strings.Contains(c.Stack[i].Function, function) {
			return true
		}
	}
	return false
}

func dialledByTransport(_ *Trace, c *Call) bool { return c.has("net/http.(*Transport).dialConn") }

func byRing(_ *Trace, c *Call) bool { return c.has("io_uring") }

// interpreted applies to stacks of an interpreter that do not show code of the user.
func interpreted(program string) func(*Trace, *Call) bool {
	return func(t *Trace, c *Call) bool { return runs(t, program) && !isOwn(c, t.exe()) }
}

func runs(t *Trace, program string) bool { return strings.HasPrefix(path.Base(t.exe()), program) }

// withoutFramePointers applies to stacks that end early: at an address that is none of code, or in
// the library that makes the system call.
func withoutFramePointers(t *Trace, c *Call) bool {
	inLibrary := len(c.Stack) > 0 && c.Stack[0].Language == Native && !isOwn(c, t.exe())
	return !isInterpreter(path.Base(t.exe())) && (c.Cut || inLibrary)
}
