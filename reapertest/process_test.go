package reapertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
)

func TestAServerAndItsWorkersEndTogether(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "prefork", "--sockets=3", "--children=3", "--comm=prefork")
	family := []int{p.pidfd}
	for _, pid := range p.Children {
		family = append(family, openProcess(t, pid))
	}
	e := enforcing(t, preamble+rule("prefork", p.exe, "when: {age: 1s}\n"+anyPeer+hard))
	await(t, func() (bool, string) {
		values := e.scrape()
		done := values[remediations("prefork", "terminated")]+values[remediations("prefork", "killed")] > 0
		return done, fmt.Sprint(values.about(`rule="prefork"}`))
	})
	for i, pidfd := range family {
		if living(pidfd) {
			t.Errorf("process %d of %d is still running", i, len(family))
		}
	}
	begun := e.records(t, "prefork")[0]
	if len(begun.Targets) != len(family) || begun.Sockets != 3 {
		t.Errorf("%d targets for %d sockets, want %d for 3", len(begun.Targets), begun.Sockets, len(family))
	}
	if left := e.scrape()["closewait_reaper_budget_remaining"]; left != 96 {
		t.Errorf("%v actions are left, want 96: each process is one", left)
	}
}

// TestALeakThatWorkersOfAnotherNameHold has children that are called leak. A rule whose match
// covers only their parent never acts, and explain says why; one that covers them ends them all.
func TestALeakThatWorkersOfAnotherNameHold(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "parent", "--sockets=3", "--children=2")
	family := []int{p.pidfd}
	for _, pid := range p.Children {
		family = append(family, openProcess(t, pid))
	}
	all := rule("parent", p.exe, "when: {age: 1s}\n"+anyPeer+hard)
	narrow := newFiles(t, preamble+strings.Replace(all, "match: {", "match: {command: '.*--sockets=3.*', ", 1))
	const why = `(?m)^pending: 0 of 3 sockets are evidence, 2 required, 3 also held by another group \(pid \d+, "leak" of the same user: they count if match also covers it\) \(rule parent, process %d "parent"\)$`
	await(t, func() (bool, string) { // in the first second the sockets are too young
		_, output := command(t, "explain", "--reaper.config="+narrow.rules)
		return regexp.MustCompile(fmt.Sprintf(why, p.PID)).MatchString(output), output
	})
	e := enforcing(t, preamble+all)
	e.awaitSeries(remediations("parent", "terminated"), 1)
	for i, pidfd := range family {
		if living(pidfd) {
			t.Errorf("process %d of %d is still running", i, len(family))
		}
	}
}

// TestAWorkerIsNotEndedForWhatAnotherHoldsToo has a protected process that holds the same sockets.
func TestAWorkerIsNotEndedForWhatAnotherHoldsToo(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "sharing", "--sockets=3", "--children=1", "--comm=sharing")
	e := enforcing(t, fmt.Sprintf("protect: {exe: ['%s']}\n", p.exe)+preamble+rule("sharing", p.exe, "when: {age: 1s}\n"+anyPeer+hard))
	e.awaitSeries(decisions("sharing", "protected"), 20)
	if values := e.scrape(); values[decisions("sharing", "act")] != 0 || !p.alive() {
		t.Errorf("it was acted upon: %v", values.about(decisions("sharing", "act")))
	}
}

// TestATargetWhoseMainThreadHasEnded: /proc/PID/exe cannot be read.
func TestATargetWhoseMainThreadHasEnded(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "headless", "--outbound=3", "--zombie-leader")
	e := enforcing(t, preamble+rule("headless", p.exe, outbound+"steps: [signal: {name: KILL, wait: 20s}]\n"))
	e.awaitSeries(remediations("headless", "killed"), 1)
	if p.alive() {
		t.Error("it is still running")
	}
}

func TestAStoppedProcessGetsTimeToClose(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "stopped", "--outbound=3")
	p.Signal(syscall.SIGSTOP)
	e := enforcing(t, preamble+rule("stopped", p.exe, outbound+soft))
	e.awaitSeries(decisions("stopped", "stopped"), 10)
	if n := e.scrape()[decisions("stopped", "act")]; n != 0 {
		t.Errorf("acted upon %v times while it was stopped", n)
	}
	p.Signal(syscall.SIGCONT)
	e.awaitSeries(remediations("stopped", "terminated"), 1)
}

// waitIn is the script of a guard that makes a file with that name in a directory, and then waits
// until the file "go" is there too.
func waitIn(dir, name string) string {
	return "touch " + filepath.Join(dir, name) + "\nuntil [ -e " + filepath.Join(dir, "go") + " ]; do sleep 0.1; done\n"
}

// TestNoSignalWhereItIsNotNeededAnyMore changes the situation while a guard runs.
func TestNoSignalWhereItIsNotNeededAnyMore(t *testing.T) {
	dir := t.TempDir()
	changes := []struct {
		name, script, result string
		change               func(*target)
		lives                bool
	}{
		{"ends-itself", waitIn(dir, "ends-itself"), remediations("ends-itself", "recovered"), func(p *target) { p.Signal(syscall.SIGKILL) }, false},
		{"closes", waitIn(dir, "closes"), remediations("closes", "recovered"), func(p *target) { p.Do("close 3") }, true},
		{"halts", waitIn(dir, "halts"), decisions("halts", "stopped"), func(p *target) { p.Signal(syscall.SIGSTOP) }, true},
		{"closes-one", waitIn(dir, "closes-one"), remediations("closes-one", "terminated"), func(p *target) { p.Do("close 1") }, false},
	}
	rules, targets := preamble, map[string]*target{}
	for _, c := range changes {
		p := startTarget(t, leaktest.Where{}, c.name, "--outbound=3")
		targets[c.name] = p
		rules += rule(c.name, p.exe, guarded(c.script)(t, p))
	}
	e := enforcing(t, rules)
	for _, c := range changes {
		await(t, func() (bool, string) {
			_, err := os.Stat(filepath.Join(dir, c.name))
			return err == nil, c.name + ": the guard does not run"
		})
		c.change(targets[c.name])
	}
	write(t, filepath.Join(dir, "go"), "")
	for _, c := range changes {
		e.awaitSeries(c.result, 1)
		if targets[c.name].alive() != c.lives {
			t.Errorf("%s: alive is %v, want %v", c.name, targets[c.name].alive(), c.lives)
		}
		signals := 0.0
		if c.name == "closes-one" { // two sockets are still a leak
			signals = 1
		}
		if n := e.scrape()[actions(c.name, "signal")]; n != signals {
			t.Errorf("%s: %v signals were sent, want %v", c.name, n, signals)
		}
	}
}

// TestMildStepsAreFollowedByHarsherOnes has leaks that close nothing when their connections are
// cut.
func TestMildStepsAreFollowedByHarsherOnes(t *testing.T) {
	const then = "signal: {name: TERM, wait: 20s}]\n"
	steps := []string{"destroy", "shutdown"}
	rules, targets := preamble, []*target{}
	for _, step := range steps {
		p := startTarget(t, leaktest.Where{}, step, "--outbound=3")
		targets = append(targets, p)
		rules += rule(step, p.exe, outbound+"steps: ["+step+": {}, "+then)
	}
	e := enforcing(t, rules)
	for i, step := range steps {
		e.awaitSeries(remediations(step, "terminated"), 1)
		values := e.scrape()
		if values[actions(step, step)] != 1 || values[actions(step, "signal")] != 1 || values[failures(step, step)] != 0 || targets[i].alive() {
			t.Errorf("%s: %v", step, values.about(actions(step, step)))
		}
	}
}

// TestRaisingTheLimitOfDescriptors depends on the capabilities of the tests. Without them the rule
// must be refused as a whole.
func TestRaisingTheLimitOfDescriptors(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "raised", "--outbound=3", "--nofile=100")
	e := enforcing(t, preamble+rule("raised", p.exe, outbound+"steps: [raise_nofile: {to: 200}, signal: {name: TERM, wait: 20s}]\n"))
	await(t, func() (bool, string) {
		values := e.scrape()
		return values[remediations("raised", "terminated")]+values[decisions("raised", "suspended")] > 0, fmt.Sprint(values.about(decisions("raised", "act")))
	})
	values := e.scrape()
	if values[suspended("refused")] != 0 {
		if values[decisions("raised", "act")] != 0 || !p.alive() || !strings.Contains(e.log.String(), "CAP_SYS_RESOURCE") {
			t.Errorf("the rule is carried out in part: %v", values.about(decisions("raised", "act")))
		}
		t.Skip("needs CAP_SYS_RESOURCE, which is missing here: the rule was refused as a whole")
	}
	if values[actions("raised", "raise_nofile")] != 1 || values[failures("raised", "raise_nofile")] != 0 || p.alive() {
		t.Errorf("%v", values.about(decisions("raised", "act")))
	}
}
