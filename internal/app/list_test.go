package app

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	kernelhost "closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// fakeCommands reads the command lines of the processes 1 to n of a fake /proc; if commandLine is
// empty, reading them hangs until the end of the test.
func fakeCommands(t *testing.T, n int, commandLine string) *host {
	t.Helper()
	root := kerneltest.FakeProcesses(t, n, commandLine)
	proc, err := kernelhost.OpenDirectory(unix.AT_FDCWD, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proc.Close)
	t.Cleanup(func() {
		for pid := 1; pid <= n; pid++ { // fails where nothing hangs
			if f, err := os.OpenFile(filepath.Join(root, strconv.Itoa(pid), "cmdline"), os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
				f.Close()
			}
		}
	})
	h := &kernelhost.Host{Path: root, Proc: proc, Errors: kernelhost.NewScanErrors()}
	return &host{proc: h, commands: procfs.NewCommandLines(h)}
}

func fakeProcess(pid int) *closewait.Process {
	return &closewait.Process{ID: closewait.ProcessID{PID: pid, Start: kerneltest.FakeStart}}
}

// TestCommandLinesThatHangAreShownAsUnknown: all of them together are given up at one deadline,
// after which none is read.
func TestCommandLinesThatHangAreShownAsUnknown(t *testing.T) {
	const processes = 10
	commands := commandLines(t.Context(), fakeCommands(t, processes, ""))
	began := time.Now()
	for pid := 1; pid <= processes; pid++ {
		if got := commands(fakeProcess(pid)); got != "" {
			t.Errorf("the command line of %d is %q", pid, got)
		}
	}
	if took := time.Since(began); took >= processes*time.Second {
		t.Errorf("took %v, want about %v", took, commandsTimeout)
	}
}

func TestCommandLinesAreReadOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	commands := commandLines(ctx, fakeCommands(t, 2, "python3\x00worker.py"))
	first := commands(fakeProcess(1))
	cancel() // further reads fail
	if again := commands(fakeProcess(1)); first != "python3 worker.py" || again != first {
		t.Errorf("%q, then %q, want python3 worker.py twice", first, again)
	}
	if other := commands(fakeProcess(2)); other != "" {
		t.Errorf("%q was read after the end", other)
	}
}
