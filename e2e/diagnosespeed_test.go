package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestSpeedOfDiagnose is the part of `make bench` about diagnose. It compares with ss, which reads
// the same sockets in the same run, and fails where docs/PERFORMANCE.md promises less.
func TestSpeedOfDiagnose(t *testing.T) {
	if os.Getenv("CLOSEWAIT_BENCH") == "" {
		t.Skip("takes a minute and an idle machine: run make bench")
	}
	leaktest.RequireRoot(t)
	server := filepath.Join(t.TempDir(), "threads")
	compile(t, "testdata/c/threads.c", server, "-O2", "-pthread")
	for _, load := range []struct {
		threads, sockets int
		most             time.Duration // of CPU
	}{{200, 1000, 100 * time.Millisecond}, {2000, 19900, time.Second}} {
		p := startForeign(t, leaktest.RequireProgram(t, "prlimit"), "--nofile=20000", server, strconv.Itoa(load.threads), strconv.Itoa(load.sockets))
		ss := leastCPU(t, "ss", "-tanpi")
		plain := leastCPU(t, program(t), "diagnose", strconv.Itoa(p.pid))
		peek := leastCPU(t, program(t), "diagnose", "--peek", strconv.Itoa(p.pid))
		t.Logf("%d threads, %d sockets: ss -tanpi %v of CPU, diagnose %v (%.3f of it), with --peek %v (%.3f of it)", load.threads, load.sockets,
			ss, plain, plain.Seconds()/ss.Seconds(), peek, peek.Seconds()/ss.Seconds())
		if plain > load.most || peek > load.most {
			t.Errorf("%v and %v of CPU, want at most %v", plain, peek, load.most)
		}
	}
}

// leastCPU is the lowest CPU time of several runs of a command, with its children.
func leastCPU(t *testing.T, command ...string) (least time.Duration) {
	t.Helper()
	leaktest.RequireProgram(t, command[0])
	for run := range 5 {
		cmd := exec.Command(command[0], command[1:]...)
		_ = cmd.Run() // diagnose has exit statuses for verdicts
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 1 {
			t.Fatalf("%v fails", command)
		}
		if took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(); run == 0 || took < least {
			least = took
		}
	}
	return least
}
