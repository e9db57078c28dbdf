package procfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

func TestCommandLinesAreReadFromTheirProcesses(t *testing.T) {
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	c := NewCommandLines(h)
	sleep := exec.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
	}()
	pid := sleep.Process.Pid
	for _, want := range []struct {
		name string
		id   closewait.ProcessID
		text string
		err  error
	}{
		{"a process", kerneltest.IdentityOf(t, pid), "sleep 1000", nil},
		{"another one that has its pid", closewait.ProcessID{PID: pid, Start: 1}, "", closewait.ErrGone},
		{"none", closewait.ProcessID{PID: 1 << 22, Start: 1}, "", closewait.ErrGone},
	} {
		text, err := c.Of(t.Context(), &closewait.Process{ID: want.id})
		if text != want.text || !errors.Is(err, want.err) {
			t.Errorf("%s: %q, %v", want.name, text, err)
		}
	}
}

// fakeHost is a host whose /proc has the processes 1 to n with a command line each.
func fakeHost(t *testing.T, n int, commandLine string) *host.Host {
	t.Helper()
	root := kerneltest.FakeProcesses(t, n, commandLine)
	proc, err := host.OpenDirectory(unix.AT_FDCWD, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proc.Close)
	return &host.Host{Path: root, Proc: proc, Errors: host.NewScanErrors()}
}
func process(pid int) *closewait.Process {
	return &closewait.Process{ID: closewait.ProcessID{PID: pid, Start: kerneltest.FakeStart}}
}

func TestCommandLinesAreJoinedBySpacesAndCut(t *testing.T) {
	long := strings.Repeat("x", 2*commandLineBytes)
	for _, c := range []struct{ name, raw, want string }{
		{"arguments", "java\x00-jar\x00a b\x00", "java -jar a b"},
		{"an empty argument", "a\x00\x00b\x00", "a  b"},
		{"a title that was set", "nginx: worker process\x00\x00\x00", "nginx: worker process"},
		{"a newline and half a UTF-8 sequence", "a\nb\xff\x00", "a\nb\xff"},
		{"nothing but ends", "\x00\x00", ""},
		{"too long", long, long[:commandLineBytes]},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := NewCommandLines(fakeHost(t, 1, c.raw)).Of(t.Context(), process(1))
			if err != nil || got != c.want {
				t.Errorf("%.50q, %v", got, err)
			}
		})
	}
}

// TestACommandLineIsReadEachTime: an interpreter can execute itself again with other arguments.
func TestACommandLineIsReadEachTime(t *testing.T) {
	h := fakeHost(t, 1, "before")
	c := NewCommandLines(h)
	name := filepath.Join(h.Path, "1", "cmdline")
	for _, text := range []string{"role=catalina", "role=payments"} {
		kerneltest.Write(t, name, text)
		if got, err := c.Of(t.Context(), process(1)); err != nil || got != text {
			t.Errorf("%q, %v, want %q", got, err, text)
		}
	}
}

// TestAReadThatWasUnderWayBeforeDoesNotCount: a process can delay a read, and execute another
// program meanwhile.
func TestAReadThatWasUnderWayBeforeDoesNotCount(t *testing.T) {
	h := fakeHost(t, 1, "")
	c := NewCommandLines(h)
	before, underWay, err := c.ask(process(1).ID)
	if err != nil || underWay {
		t.Fatal(underWay, err)
	}
	name := filepath.Join(h.Path, "1", "cmdline")
	delayed, err := os.OpenFile(name, os.O_WRONLY, 0) // returns when it is being read
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	kerneltest.Write(t, name, "role=payments")
	asked, got := make(chan struct{}), make(chan string)
	go func() {
		close(asked)
		text, err := c.Of(t.Context(), process(1))
		got <- fmt.Sprint(text, err)
	}()
	<-asked
	if _, err := delayed.WriteString("role=catalina"); err != nil {
		t.Fatal(err)
	}
	delayed.Close()
	if text, err := before.wait(t.Context()); text != "role=catalina" || err != nil {
		t.Errorf("the read before has %q, %v", text, err)
	}
	if text := <-got; text != "role=payments<nil>" {
		t.Errorf("%s, want the current command line", text)
	}
}

// TestAProgramThatExecutesItselfAgainHasAnotherCommandLine: exe, pid and start time stay the same.
func TestAProgramThatExecutesItselfAgainHasAnotherCommandLine(t *testing.T) {
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	shell := exec.Command("sh", "-c", `read line; exec "$0" -c 'read line; :' "$0" role=payments`, "/bin/sh", "role=catalina")
	stdin, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = shell.Process.Kill()
		_ = shell.Wait()
	}()
	c, p := NewCommandLines(h), &closewait.Process{ID: kerneltest.IdentityOf(t, shell.Process.Pid), Exe: "/bin/sh"}
	awaitText := func(want string) {
		t.Helper()
		leaktest.Eventually(t, 20*time.Second, func() (bool, string) {
			text, err := c.Of(t.Context(), p)
			return err == nil && strings.HasSuffix(text, want), "its command line is " + text
		})
	}
	awaitText("role=catalina")
	if _, err := stdin.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	awaitText("role=payments")
}

func TestCommandLinesThatHangAreBoundedInTimeAndNumber(t *testing.T) {
	h := fakeHost(t, 3*commandLinesPending, "")
	c := NewCommandLines(h)
	began := time.Now()
	for range 3 { // rounds of a reaper
		for pid := 1; pid <= 3*commandLinesPending; pid++ {
			if _, err := c.Of(t.Context(), process(pid)); !errors.Is(err, host.ErrHangs) {
				t.Fatalf("process %d: %v, want %v", pid, err, host.ErrHangs)
			}
		}
	}
	if took := time.Since(began); took > (commandLinesPending+1)*commandLineTimeout {
		t.Errorf("all rounds took %v: no read may be waited for twice", took)
	}
	if len(c.pending) != commandLinesPending {
		t.Errorf("%d reads hang, want %d", len(c.pending), commandLinesPending)
	}
	for pid := 1; pid <= commandLinesPending; pid++ { // the ones that are under way
		name := filepath.Join(h.Path, strconv.Itoa(pid), "cmdline")
		kerneltest.Write(t, name, "it answers\x00")
		if err := os.Remove(name); err != nil { // another read would hang again
			t.Fatal(err)
		}
		kerneltest.Write(t, name, "it answers\x00")
	}
	leaktest.Eventually(t, 20*time.Second, func() (bool, string) {
		text, err := c.Of(t.Context(), process(1))
		return err == nil && text == "it answers", "no command line after the hang"
	})
}

func TestACommandLineIsNotWaitedForLongerThanItsContext(t *testing.T) {
	h := fakeHost(t, 1, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewCommandLines(h).Of(ctx, process(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	kerneltest.Write(t, filepath.Join(h.Path, "1", "cmdline"), "x") // ends the read
}
