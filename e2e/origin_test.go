package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// originResult is the JSON of origin, as far as the tests read it.
type originResult struct {
	Leaked, Made, Unknown int
	Before                int `json:"leaked_before"`
	Groups                []originGroup
	Advice, Missing       []string
}

type originGroup struct {
	Share          float64
	Sockets        int
	How, Direction string
	Port           uint16
	Place          int
	Stack          []originFrame
	Cut            bool
	Ends           []struct {
		Sockets int
		How     string
		Place   int
		Stack   []originFrame
	}
}

type originFrame struct {
	Function, File, Module, Language string
	Line                             int
}

// at is a call as "function file".
func at(stack []originFrame, place int) string {
	if place >= len(stack) {
		return "nothing"
	}
	return stack[place].Function + " " + filepath.Base(stack[place].File)
}

func calls(stack []originFrame, function string) bool {
	return slices.ContainsFunc(stack, func(f originFrame) bool { return f.Function == function })
}

// tracing is a running origin.
type tracing struct {
	cmd            *exec.Cmd
	lines          *bufio.Scanner // of standard error, from which stderr gets those that were read
	stdout, stderr bytes.Buffer
}

// startOrigin starts to trace a process, and returns when the trace has begun. The result is JSON.
func startOrigin(t *testing.T, pid int, args ...string) *tracing {
	t.Helper()
	return startOriginAs(t, "json", pid, args...)
}

// startOriginAs is startOrigin with another format of the result.
func startOriginAs(t *testing.T, output string, pid int, args ...string) *tracing {
	t.Helper()
	trace := &tracing{}
	command := []string{"origin", strconv.Itoa(pid), "--for=10m", "--output=" + output, "--collector.min-age=200ms"}
	trace.cmd = exec.Command(program(t), append(command, args...)...)
	trace.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	trace.cmd.Stdout = &trace.stdout
	stderr, err := trace.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := trace.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = trace.cmd.Process.Kill() })
	trace.lines = bufio.NewScanner(stderr)
	for trace.lines.Scan() {
		trace.stderr.WriteString(trace.lines.Text() + "\n")
		if strings.HasPrefix(trace.lines.Text(), "Tracing process ") {
			return trace
		}
	}
	_ = trace.cmd.Wait()
	t.Fatalf("origin did not begin: %s", &trace.stderr)
	return nil
}

// wait waits until the trace ends by itself.
func (trace *tracing) wait() error {
	for trace.lines.Scan() {
		trace.stderr.WriteString(trace.lines.Text() + "\n")
	}
	return trace.cmd.Wait()
}

// stop ends the trace early, and returns its result.
func (trace *tracing) stop(t *testing.T) (r originResult) {
	t.Helper()
	if err := trace.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := trace.wait(); err != nil {
		t.Fatalf("origin: %v\n%s", err, &trace.stderr)
	}
	if err := json.Unmarshal(trace.stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, &trace.stdout)
	}
	return r
}

// buildLeak builds the leaking Go program of the tests.
func buildLeak(t *testing.T, flags ...string) string {
	t.Helper()
	return buildProgram(t, "testdata/origin/leak.go", flags...)
}

func buildProgram(t *testing.T, source string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "leak")
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", out}, flags, []string{source})...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// TestOriginNamesTheLinesOfAGoProgram traces a program with symbols, without them, and a position
// independent one.
func TestOriginNamesTheLinesOfAGoProgram(t *testing.T) {
	leaktest.RequireRoot(t)
	for name, flags := range map[string][]string{
		"with symbols": nil, "stripped": {"-ldflags=-s -w"}, "stripped and position independent": {"-ldflags=-s -w", "-buildmode=pie"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, buildLeak(t, flags...))
			p.ask(t, "before the trace")
			profile := filepath.Join(t.TempDir(), "leak.pb.gz")
			trace := startOrigin(t, p.pid, "-o", profile)
			p.ask(t, "leak")
			r := trace.stop(t)
			if r.Leaked != 16 || r.Made != 16 || r.Before != 16 || r.Unknown != 0 || len(r.Groups) != 2 {
				t.Fatalf("got %+v, want 16 leaked in 2 groups, and 16 before", r)
			}
			out, in := r.Groups[0], r.Groups[1]
			if out.Sockets != 12 || out.How != "connect" || out.Direction != "outbound" || out.Port != p.port || at(out.Stack, out.Place) != "main.dial leak.go" {
				t.Errorf("outbound: %+v", out)
			}
			if end := out.Ends[0]; end.Sockets != 12 || end.How != "read" || at(end.Stack, end.Place) != "main.fetch leak.go" {
				t.Errorf("ends of outbound: %+v", out.Ends)
			}
			if in.Sockets != 4 || in.Direction != "inbound" || in.Port != p.port || !calls(in.Stack, "main.main") {
				t.Errorf("inbound: %+v", in)
			}
			requirePprof(t, profile, "main.dial", 12)
		})
	}
}

// requirePprof requires go tool pprof to find a number of sockets below a function.
func requirePprof(t *testing.T, profile, function string, sockets int) {
	t.Helper()
	out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", "-focus="+function, "-tagfocus=direction=outbound", profile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 6 && fields[5] == function && fields[3] == strconv.Itoa(sockets) {
			return
		}
	}
	t.Errorf("no %d sockets of %s in\n%s", sockets, function, out)
}

// TestOriginNamesTheFunctionsOfC traces a program with frame pointers and debugging information,
// and the same without. The C library has no frame pointers, so that the function which calls it is
// not on the stack: what is there is the line which calls that function.
func TestOriginNamesTheFunctionsOfC(t *testing.T) {
	leaktest.RequireRoot(t)
	for _, tt := range []struct {
		flags, place string
		cut          bool
	}{
		{"-O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls", "fetch leak.c", false},
		{"-O2 -fomit-frame-pointer", "", true},
	} {
		t.Run(tt.flags, func(t *testing.T) {
			t.Parallel()
			leak := filepath.Join(t.TempDir(), "leak")
			compile(t, "testdata/c/leak.c", leak, strings.Fields(tt.flags)...)
			p := startForeign(t, leak)
			trace := startOrigin(t, p.pid)
			p.ask(t, "leak")
			r := trace.stop(t)
			if r.Leaked != 5 || len(r.Groups) == 0 {
				t.Fatalf("got %+v, want 5 leaked", r)
			}
			g := r.Groups[0]
			if tt.place != "" && (at(g.Stack, g.Place) != tt.place || !calls(g.Stack, "main") || g.Stack[g.Place].Line == 0) {
				t.Errorf("got %+v, want %s", g, tt.place)
			}
			advised := slices.ContainsFunc(r.Advice, func(text string) bool { return strings.Contains(text, "-fno-omit-frame-pointer") })
			if advised != g.Cut || tt.cut && calls(g.Stack, "fetch") {
				t.Errorf("cut %t, advice %q, stack %+v", g.Cut, r.Advice, g.Stack)
			}
		})
	}
}

// TestOriginIsRightAboutAProcessThatOpensConnectionsWhileTheTraceBegins has connections that are
// opened when some hooks of the kernel are in use, and others not yet.
func TestOriginIsRightAboutAProcessThatOpensConnectionsWhileTheTraceBegins(t *testing.T) {
	leaktest.RequireRoot(t)
	p := startForeign(t, buildLeak(t))
	begun, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		pace := time.NewTicker(100 * time.Millisecond) // so that the descriptors suffice
		defer pace.Stop()
		for {
			_, err := fmt.Fprintln(p.stdin, "leak")
			if err == nil {
				_, err = p.stdout.ReadString('\n')
			}
			select {
			case <-begun:
				stopped <- err
				return
			case <-pace.C:
			}
		}
	}()
	trace := startOrigin(t, p.pid)
	close(begun)
	must(t, <-stopped)
	p.ask(t, "leak")
	r := trace.stop(t)
	if len(r.Groups) == 0 {
		t.Fatalf("no group in %+v", r)
	}
	for _, g := range r.Groups {
		if g.Port != p.port || g.Direction == "outbound" && g.How != "connect" {
			t.Errorf("want connections to port %d only, and the calls that opened them: %+v", p.port, g)
		}
	}
}
