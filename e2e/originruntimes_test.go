package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestOriginNamesCompiledJava traces a JVM with frame pointers that compiles early, and writes its
// perf map during the trace.
func TestOriginNamesCompiledJava(t *testing.T) {
	leaktest.RequireRoot(t)
	if os.Getenv("CLOSEWAIT_LONG") == "" {
		t.Skip("takes half a minute: make test-long")
	}
	jcmd := leaktest.RequireProgram(t, "jcmd")
	p := startForeign(t, "java", javaQuick, "-XX:Tier3InvocationThreshold=10", "-XX:Tier3BackEdgeThreshold=20", "-XX:+PreserveFramePointer",
		"testdata/java/LeakingServer.java")
	t.Cleanup(func() { os.Remove("/tmp/perf-" + strconv.Itoa(p.pid) + ".map") })
	const own = "void LeakingServer.accept(java.net.ServerSocket)"
	leaktest.Eventually(t, 2*maxWait, func() (bool, string) { // until the JVM has compiled it
		for range 200 {
			requestAndClose(t, "127.0.0.1", p.port)
		}
		trace := startOrigin(t, p.pid)
		for range leaked {
			requestAndClose(t, "127.0.0.1", p.port)
		}
		if out, err := exec.Command(jcmd, strconv.Itoa(p.pid), "Compiler.perfmap").CombinedOutput(); err != nil {
			t.Skipf("jcmd has no Compiler.perfmap here: %v\n%s", err, out)
		}
		r := trace.stop(t)
		if r.Leaked != leaked || len(r.Groups) == 0 {
			t.Fatalf("got %+v, want %d leaked", r, leaked)
		}
		stack := r.Groups[0].Stack
		at := stack[r.Groups[0].Place].Function
		return strings.HasPrefix(at, own), "the code is " + at
	})
}

// TestOriginSaysWhatShowsMore traces programs whose stacks do not show the code that leaks.
func TestOriginSaysWhatShowsMore(t *testing.T) {
	leaktest.RequireRoot(t)
	url, _ := webServer(t)
	for name, tt := range map[string]struct {
		command []string
		leak    func(*testing.T, foreign)
		advice  string
	}{
		"Python": {
			[]string{"python3", "testdata/python/threads.py"},
			func(t *testing.T, p foreign) { requestAndClose(t, "::1", p.port) }, "python -X perf",
		},
		"Go net/http": {
			[]string{buildProgram(t, "testdata/originhttp/get.go")},
			func(t *testing.T, p foreign) { p.ask(t, url) }, "bodyclose",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, tt.command...)
			trace := startOrigin(t, p.pid)
			tt.leak(t, p)
			leaktest.Eventually(t, maxWait, func() (bool, string) { // the peer closes asynchronously
				rows := heldBy(leaktest.SSOf(t, []int{p.pid}), p.pid)
				return len(rows) == 1, fmt.Sprintf("%d sockets have ended", len(rows))
			})
			r := trace.stop(t)
			if len(r.Advice) != 1 || !strings.Contains(r.Advice[0], tt.advice) {
				t.Errorf("got %+v, want the advice %q", r, tt.advice)
			}
		})
	}
}
