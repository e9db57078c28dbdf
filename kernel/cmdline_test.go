package kernel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

func TestCommandLinesAreThoseOfTheProcesses(t *testing.T) {
	h := newHands(t)
	c := NewCommandLines(h.scanner)
	pid := startSleep(t).Process.Pid
	for _, want := range []struct {
		name string
		id   closewait.ProcessID
		text string
		err  error
	}{
		{"a process", idOf(t, pid), "sleep 1000", nil},
		{"another one that has its pid", closewait.ProcessID{PID: pid, Start: 1}, "", closewait.ErrGone},
		{"none", closewait.ProcessID{PID: 1 << 22, Start: 1}, "", closewait.ErrGone},
	} {
		text, err := c.Of(t.Context(), &closewait.Process{ID: want.id})
		if text != want.text || !errors.Is(err, want.err) {
			t.Errorf("%s: %q, %v", want.name, text, err)
		}
	}
}

// fakeProcess makes a /proc with the processes 1 to n whose command lines are as given, or FIFOs,
// which hang as a locked process does.
func fakeProcesses(t *testing.T, n int, commandLine string) *Scanner {
	t.Helper()
	root := t.TempDir()
	for pid := 1; pid <= n; pid++ {
		dir := filepath.Join(root, itoa(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "stat"), itoa(pid)+" (x) S 1"+strings.Repeat(" 0", 17)+" 7 0 0\n")
		if commandLine != "" {
			write(t, filepath.Join(dir, "cmdline"), commandLine)
		} else if err := unix.Mkfifo(filepath.Join(dir, "cmdline"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proc, err := OpenDirectory(unix.AT_FDCWD, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proc.Close)
	return &Scanner{proc: proc, options: Options{ProcFS: root}}
}

func process(pid int) *closewait.Process {
	return &closewait.Process{ID: closewait.ProcessID{PID: pid, Start: 7}}
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
			got, err := NewCommandLines(fakeProcesses(t, 1, c.raw)).Of(t.Context(), process(1))
			if err != nil || got != c.want {
				t.Errorf("%.50q, %v", got, err)
			}
		})
	}
}

func TestACommandLineIsReadOnceForEachProgram(t *testing.T) {
	s := fakeProcesses(t, 1, "first\x00")
	c := NewCommandLines(s)
	name := filepath.Join(s.options.ProcFS, "1", "cmdline")
	for _, step := range []struct{ exe, now, want string }{
		{"/a", "first", "first"},
		{"/a", "changed by the process", "first"},
		{"/b", "after an exec", "after an exec"},
	} {
		write(t, name, step.now)
		p := process(1)
		p.Exe = step.exe
		if got, err := c.Of(t.Context(), p); err != nil || got != step.want {
			t.Errorf("%q, %v, want %q", got, err, step.want)
		}
	}
}

func TestCommandLinesThatHangAreBoundedInTimeAndNumber(t *testing.T) {
	s := fakeProcesses(t, 3*mostHanging, "")
	c := NewCommandLines(s)
	began := time.Now()
	for range 3 { // rounds of a reaper
		for pid := 1; pid <= 3*mostHanging; pid++ {
			if _, err := c.Of(t.Context(), process(pid)); !errors.Is(err, ErrHangs) {
				t.Fatalf("process %d: %v, want %v", pid, err, ErrHangs)
			}
		}
	}
	if took := time.Since(began); took > (mostHanging+1)*commandLineTimeout {
		t.Errorf("all rounds took %v: no read is to be waited for twice", took)
	}
	if len(c.pending) != mostHanging {
		t.Errorf("%d reads hang, want %d", len(c.pending), mostHanging)
	}
	for pid := 1; pid <= mostHanging; pid++ { // those that were begun
		write(t, filepath.Join(s.options.ProcFS, itoa(pid), "cmdline"), "it answers\x00")
	}
	leaktest.Eventually(t, soon, func() (bool, string) {
		text, err := c.Of(t.Context(), process(1))
		return err == nil && text == "it answers", "no command line after the hang"
	})
}

func TestACommandLineIsNotWaitedForLongerThanItsContext(t *testing.T) {
	s := fakeProcesses(t, 1, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewCommandLines(s).Of(ctx, process(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	write(t, filepath.Join(s.options.ProcFS, "1", "cmdline"), "x") // lets go of it
}
