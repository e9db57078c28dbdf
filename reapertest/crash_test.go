package reapertest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"closewait_exporter/internal/leaktest"
)

// TestNoCrashLetsTheReaperExceedItsBudget kills the exporter at random moments of its remediations,
// and starts it again with the same files.
func TestNoCrashLetsTheReaperExceedItsBudget(t *testing.T) {
	crashes := 6
	if long {
		crashes = 200
	}
	const perCycle = 3
	for cycle := range (crashes + perCycle - 1) / perCycle {
		t.Run(fmt.Sprint(cycle), func(t *testing.T) { crashCycle(t, perCycle) })
	}
}

// awaitOlderThanStarts waits until a process is older than the precision of start times, a second.
// A cooldown is for processes that may have started after the first action, which would keep them
// from the budget.
func awaitOlderThanStarts(t *testing.T, pid int) {
	t.Helper()
	const old = 2 * time.Second
	await(t, func() (bool, string) {
		process, err := procfs.NewProc(pid)
		if err != nil {
			t.Fatal(err)
		}
		stat, err := process.Stat()
		if err != nil {
			t.Fatal(err)
		}
		started, err := stat.StartTime()
		if err != nil {
			t.Fatal(err)
		}
		age := time.Since(time.UnixMilli(int64(started * 1000)))
		return age > old, fmt.Sprintf("process %d is %v old", pid, age)
	})
}

func crashCycle(t *testing.T, crashes int) {
	const budget, leaks = 2, 5
	dir := t.TempDir()
	guard := filepath.Join(dir, "guard")
	write(t, guard, "#!/bin/sh\nsleep 0.2\n")
	if err := os.Chmod(guard, 0o700); err != nil {
		t.Fatal(err)
	}
	exe := leakAs(t, "crash")
	var targets []*target
	for _, l := range (leaktest.Where{Program: exe}).StartMany(t, leaks, "--outbound=3", "--ignore-sigterm") {
		targets = append(targets, follow(t, l, exe))
	}
	for _, p := range targets {
		awaitOlderThanStarts(t, p.PID)
	}
	f := newFiles(t, fmt.Sprintf(`
interval: 100ms
limits: {actions: %d, per: 10m}
rules:
  - name: crash
    mode: enforce
    match: {exe: '%s'}
    when: {sockets: 2, age: 100ms}
    steps:
      - run: {command: [%s]}
      - signal: {name: TERM, wait: 200ms}
      - signal: {name: KILL, wait: 10s}
    accept_no_restart: true
`, budget, regexp.QuoteMeta(exe), guard))
	for range crashes {
		e := f.start(t, "--reaper.enforce")
		time.Sleep(rand.N(time.Second)) // the moment of the crash is what varies
		e.crash()
	}
	e := f.start(t, "--reaper.enforce")
	e.awaitSeries(decisions("crash", "budget"), 5)
	e.awaitRounds(10)
	values, ended := e.scrape(), 0
	for _, p := range targets {
		if !p.alive() {
			ended++
		}
	}
	decided := 0
	for _, r := range f.records(t, "crash") {
		if r.Event == "decision" {
			decided += len(r.Targets)
		}
	}
	if ended > budget || decided > budget {
		t.Errorf("%d processes ended, %d decisions to act; the budget is %d", ended, decided, budget)
	}
	for _, reason := range []string{"state_file", "host_lock"} {
		if values[suspended(reason)] != 0 {
			t.Errorf("suspended: %s", reason)
		}
	}
	if guards := running(t, guard); len(guards) > 0 {
		t.Errorf("guards are still running: %v", guards)
	}
}

// running returns the processes that have the text among their arguments.
func running(t *testing.T, text string) (pids []string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		line, _ := os.ReadFile(path) // empty if the process has ended
		if regexp.MustCompile(regexp.QuoteMeta(text)).Match(line) {
			pids = append(pids, path)
		}
	}
	return pids
}
