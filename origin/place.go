package origin

import (
	"path"
	"slices"
	"strings"
)

// place returns the index of the first call of the program's own code, rather than of a library.
// Where there is none, it is the outermost call that says something, and 0 where no call does.
func place(stack []Frame, exe string) int {
	outermost := 0
	for i := range stack {
		if !stack[i].Library(exe) {
			return i
		}
		if saysSomething(&stack[i], exe) {
			outermost = i
		}
	}
	return outermost
}

// isOwn reports whether a stack shows own code of the program.
func isOwn(c *Call, exe string) bool {
	for i := range c.Stack {
		if !c.Stack[i].Library(exe) {
			return true
		}
	}
	return false
}

// saysSomething reports whether a call of a library helps to find the caller: not the start of a
// thread, nor the inside of an interpreter.
func saysSomething(f *Frame, exe string) bool {
	inside := isInterpreter(path.Base(exe)) && f.Language == Native && f.Module != "" && !strings.Contains(f.Module, "/libc.so")
	return f.Function != "" && !inside && !isStart(f) && !isRuntimePart(f.Function)
}

// Library reports whether a call is one of a library or runtime, as far as its name shows. exe is
// the executable file of the process.
func (f *Frame) Library(exe string) bool {
	switch f.Language {
	case Go:
		return isGoLibrary(f.Function)
	case PerfMap:
		return isGeneratedLibrary(f)
	case Native:
		return f.Module != exe || isInterpreter(path.Base(exe)) || isStart(f)
	}
	return true
}

// isGoLibrary reports whether a function is from the standard library, whose packages have no dot
// in the first element of their path, or from golang.org/x.
func isGoLibrary(function string) bool {
	first, _, nested := strings.Cut(function, "/")
	if nested {
		return !strings.Contains(first, ".") || strings.HasPrefix(function, "golang.org/x/") || strings.HasPrefix(function, "vendor/")
	}
	pkg, _, _ := strings.Cut(first, ".")
	return slices.Contains(goPackages, pkg)
}

// goPackages are the packages of the standard library, without a slash in their path, that are on
// stacks which make or use sockets.
var goPackages = []string{"runtime", "syscall", "net", "bufio", "io", "os", "context", "sync", "testing", "reflect", "fmt", "bytes", "log"}

// isGeneratedLibrary reports whether generated code is from the libraries of Java, Python or Node.
func isGeneratedLibrary(f *Frame) bool {
	// The JVM writes "void java.net.Socket.connect(java.net.SocketAddress, int)".
	name, _, _ := strings.Cut(f.Function, "(")
	name = name[strings.LastIndexByte(name, ' ')+1:]
	for _, prefix := range []string{"java.", "javax.", "jdk.", "sun.", "Ljava/", "Ljavax/", "Ljdk/", "Lsun/"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.Contains(f.File, "/lib/python") || strings.Contains(f.File, "<frozen ") || strings.Contains(f.Function, " node:") ||
		isRuntimePart(f.Function)
}

// isRuntimePart reports whether generated code is no function of a program, but a part of the
// runtime: what interprets others, or connects them.
func isRuntimePart(function string) bool {
	for _, part := range []string{"Interpreter", "StubRoutines", "Builtin:", "BytecodeHandler:"} {
		if strings.HasPrefix(function, part) {
			return true
		}
	}
	return strings.HasSuffix(function, "Stub") || strings.HasSuffix(function, "Blob")
}

// interpreters are programs that run the code of the user.
var interpreters = []string{"python", "java", "node", "ruby", "perl", "php", "beam.smp", "dotnet"}

func isInterpreter(program string) bool {
	return slices.ContainsFunc(interpreters, func(name string) bool { return strings.HasPrefix(program, name) })
}

// isStart reports whether a call only starts a thread or the program.
func isStart(f *Frame) bool {
	return slices.Contains([]string{"_start", "__libc_start_main", "__libc_start_call_main", "start_thread", "clone", "clone3", "__clone3", "runtime.goexit", "runtime.main"}, f.Function)
}
