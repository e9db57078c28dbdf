package action

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

func shellGuard(script string, timeout time.Duration) closewait.Guard {
	return closewait.Guard{Command: []string{"sh", "-c", script}, Timeout: timeout}
}

func TestAGuardAllowsByExitStatusZeroAlone(t *testing.T) {
	e := newExecutor(t)
	for _, c := range []struct {
		name  string
		guard closewait.Guard
		want  error
		says  string
	}{
		{"allows", shellGuard("echo fine; echo indeed >&2", soon), nil, "fine\nindeed\n"},
		{"exit 1", shellGuard("echo no; exit 1", soon), closewait.ErrGuardDenied, "no\n"},
		{"exit 127", shellGuard("exit 127", soon), closewait.ErrGuardDenied, ""},
		{"ended by a signal", shellGuard("kill -TERM $$", soon), closewait.ErrGuardFailed, ""},
		{"not found", closewait.Guard{Command: []string{"/nonexistent/guard"}, Timeout: soon}, closewait.ErrGuardFailed, ""},
		{"not in the path", closewait.Guard{Command: []string{"no-such-guard"}, Timeout: soon}, closewait.ErrGuardFailed, ""},
		{"not executable", closewait.Guard{Command: []string{"/etc/passwd"}, Timeout: soon}, closewait.ErrGuardFailed, ""},
		{"no command", closewait.Guard{Timeout: soon}, closewait.ErrGuardFailed, ""},
		{"no answer in time, and it ignores TERM", shellGuard("trap '' TERM; while :; do sleep 1000; done", 100*time.Millisecond), closewait.ErrGuardFailed, ""},
		{"stopped", shellGuard("kill -STOP $$", 100*time.Millisecond), closewait.ErrGuardFailed, ""},
		{"a flood of output", closewait.Guard{Command: []string{"yes"}, Timeout: soon}, closewait.ErrGuardFailed, strings.Repeat("y\n", keptGuardOutput/2)},
		{"a flood that ends, and exit 0", shellGuard("head -c 2000000 /dev/zero", soon), closewait.ErrGuardFailed, strings.Repeat("\x00", keptGuardOutput)},
		{"more output than is kept", shellGuard("head -c 5000 /dev/zero", soon), nil, strings.Repeat("\x00", keptGuardOutput)},
		{"its child holds the output", shellGuard("sleep 1000 & exit 0", soon), nil, ""},
		{"its child holds the output, and it denies", shellGuard("sleep 1000 & exit 3", soon), closewait.ErrGuardDenied, ""},
		{"its child holds the output in another session", detachedChild(t, ""), nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			output, err := e.RunGuard(t.Context(), c.guard)
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%v, want %v", err, c.want)
			}
			if output != c.says {
				t.Errorf("output %.80q, %d bytes, want %.80q", output, len(output), c.says)
			}
			if took := time.Since(began); took > soon {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// guardRun is the result of a guard that was run.
type guardRun struct {
	output        string
	err           error
	timeout, took time.Duration
}

// runForLonger runs a guard that never ends, with a timeout that doubles until the guard has got as
// far as the test wants. On a loaded machine the time may be over before the shell has started.
func runForLonger(t *testing.T, e *Executor, script string, far func(guardRun) bool) guardRun {
	t.Helper()
	for timeout := 100 * time.Millisecond; ; timeout *= 2 {
		began := time.Now()
		output, err := e.RunGuard(t.Context(), shellGuard(script, timeout))
		if r := (guardRun{output, err, timeout, time.Since(began)}); timeout > soon || far(r) {
			return r
		}
	}
}

func TestAGuardThatDoesNotAnswerInTimeFailsAndItsOutputIsKept(t *testing.T) {
	r := runForLonger(t, newExecutor(t), "echo wait; sleep 1000", func(r guardRun) bool { return r.output != "" })
	if !errors.Is(r.err, closewait.ErrGuardFailed) || r.output != "wait\n" {
		t.Errorf("output %q, %v", r.output, r.err)
	}
}

// TestNothingOfAGuardIsLeft checks that the guard and the process that it has started end with it.
func TestNothingOfAGuardIsLeft(t *testing.T) {
	e := newExecutor(t)
	for _, c := range []struct {
		name   string
		script string
		want   error
	}{
		{"after its timeout", "echo $$; sleep 1000 & echo $!; wait", closewait.ErrGuardFailed},
		{"after it has allowed", "echo $$; sleep 1000 & echo $!; exit 0", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runForLonger(t, e, c.script, func(r guardRun) bool { return len(strings.Fields(r.output)) == 2 && errors.Is(r.err, c.want) })
			if !errors.Is(r.err, c.want) || c.want == nil && r.err != nil {
				t.Fatalf("%v, want %v", r.err, c.want)
			}
			pids := strings.Fields(r.output)
			if len(pids) != 2 {
				t.Fatalf("output %q, want two pids", r.output)
			}
			for _, pid := range pids {
				leaktest.Eventually(t, soon, func() (bool, string) {
					stat, err := os.ReadFile("/proc/" + pid + "/stat")
					return err != nil || strings.Contains(string(stat), ") Z "), "still there: " + string(stat)
				})
			}
		})
	}
}

func TestAGuardGetsTheFactsOfItsDecision(t *testing.T) {
	e := newExecutor(t)
	t.Setenv("SECRET", "x")
	script := filepath.Join(t.TempDir(), "guard")
	writeFile(t, script, "#!/bin/sh\nfor a; do echo \"$a\"; done\ncat; pwd; env | sort\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	output, err := e.RunGuard(t.Context(), closewait.Guard{
		Command: []string{script, "{pid}", "--rule={rule}", "{group}", "; rm -rf {pid}{pid}", "{other}"},
		Timeout: soon, PID: 42, Rule: "{group}", Group: "$(id) `id` \xff*",
		Evidence: []byte(`{"sockets":3}` + "\n"), Env: map[string]string{"SOCKETS": "3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"42", "--rule={group}", "$(id) `id` \xff*", "; rm -rf 4242", "{other}",
		`{"sockets":3}`, "/",
		"CLOSEWAIT_GROUP=$(id) `id` \xff*", "CLOSEWAIT_PID=42", "CLOSEWAIT_RULE={group}", "CLOSEWAIT_SOCKETS=3",
	}
	got := strings.Split(strings.TrimSuffix(output, "\n"), "\n")
	got = slices.DeleteFunc(got, func(line string) bool { return strings.HasPrefix(line, "PATH=") || line == "PWD=/" })
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestAGuardThatReadsNothingIsNotWaitedFor has more evidence than fits into a pipe.
func TestAGuardThatReadsNothingIsNotWaitedFor(t *testing.T) {
	e := newExecutor(t)
	for name, guard := range map[string]closewait.Guard{
		"itself":                           shellGuard("exit 0", soon),
		"nor its child":                    shellGuard("sleep 1000 <&0 & exit 0", soon),
		"nor its child in another session": detachedChild(t, "<&0"),
	} {
		guard.Evidence = make([]byte, 1<<20)
		if _, err := e.RunGuard(t.Context(), guard); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// detachedChild returns a guard that starts a child in a session of its own and then allows. The
// child has the pipes of the guard and survives it.
func detachedChild(t *testing.T, redirect string) closewait.Guard {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pid")
	t.Cleanup(func() {
		data, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
		if err == nil && pid > 0 {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			t.Errorf("the child has not survived: %v", err)
		}
	})
	child := "echo $$ > " + file + "; exec sleep 1000"
	return shellGuard("setsid sh -c '"+child+"' "+redirect+" & until test -s "+file+"; do sleep 0.01; done", soon)
}

func TestAGuardEndsWithItsContext(t *testing.T) {
	e := newExecutor(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := e.RunGuard(ctx, shellGuard("sleep 1000", soon))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, closewait.ErrGuardDenied) {
		t.Errorf("%v, want the end of the context", err)
	}
}

// TestAGuardDiesWithTheExporter runs a guard in a process that is killed meanwhile.
func TestAGuardDiesWithTheExporter(t *testing.T) {
	const role = "KERNEL_TEST_GUARD_PID_FILE"
	if file := os.Getenv(role); file != "" {
		e := newExecutor(t)
		_, _ = e.RunGuard(t.Context(), shellGuard("echo $$ > "+file+".new; mv "+file+".new "+file+"; exec sleep 1000", soon))
		return
	}
	leaktest.RequireRoot(t)
	file := filepath.Join(t.TempDir(), "pid")
	t.Setenv(role, file)
	exporter := start(t, nil, "/proc/self/exe", "-test.run=^TestAGuardDiesWithTheExporter$")
	var pid string
	leaktest.Eventually(t, soon, func() (bool, string) {
		data, err := os.ReadFile(file)
		pid = strings.TrimSpace(string(data))
		return err == nil, "the guard has not started"
	})
	if err := exporter.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	leaktest.Eventually(t, soon, func() (bool, string) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z "), "still there: " + string(stat)
	})
}

func TestCanRunSaysWhyNot(t *testing.T) {
	for _, c := range []struct {
		command []string
		want    bool
	}{
		{[]string{"sh", "-c", "exit 1"}, true},
		{[]string{"/bin/sh"}, true},
		{[]string{"/nonexistent/guard"}, false},
		{[]string{"no-such-guard"}, false},
		{[]string{"/etc/passwd"}, false},
		{[]string{"/"}, false},
		{nil, false},
	} {
		if err := CanRun(c.command); (err == nil) != c.want {
			t.Errorf("%q: %v", c.command, err)
		}
	}
}
