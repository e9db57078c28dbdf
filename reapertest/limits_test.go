package reapertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// startTargets starts leaking processes, each its own group, and returns an expression that matches
// all.
func startTargets(t *testing.T, name string, size int) (exes string, members []*target) {
	t.Helper()
	var paths []string
	for i := range size {
		p := startTarget(t, leaktest.Where{}, fmt.Sprint(name, i), "--outbound=3")
		members = append(members, p)
		paths = append(paths, regexp.QuoteMeta(p.exe))
	}
	return strings.Join(paths, "|"), members
}

// startWorkers starts leaking processes of one group.
func startWorkers(t *testing.T, name string, size int) (exe string, members []*target) {
	t.Helper()
	exe = leakAs(t, name)
	for _, l := range (leaktest.Where{Program: exe}).StartMany(t, size, "--outbound=3") {
		members = append(members, follow(t, l, exe))
	}
	return exe, members
}

func ended(members []*target) (n int) {
	for _, p := range members {
		if !p.alive() {
			n++
		}
	}
	return n
}

func TestNoMoreIsDoneThanLimitsAllow(t *testing.T) {
	exe, members := startWorkers(t, "limited", 4)
	e := enforcing(t, strings.Replace(preamble, "actions: 100", "actions: 2", 1)+rule("limited", exe, outbound+soft))
	e.awaitSeries(remediations("limited", "terminated"), 2)
	e.awaitSeries(decisions("limited", "budget"), 10)
	if n := ended(members); n != 2 {
		t.Errorf("%d processes have ended, want 2", n)
	}
	if left := e.scrape()["closewait_reaper_budget_remaining"]; left != 0 {
		t.Errorf("%v actions are left", left)
	}
}

func TestARuleThatHitsTooManyAtOnceIsSuspended(t *testing.T) {
	exes, members := startTargets(t, "broken", 8)
	text := preamble + "  - name: broken\n    mode: enforce\n    match: {exe: '" + exes + "'}\n    " + strings.ReplaceAll(outbound, "\n", "\n    ") + soft + anyEnd
	text = strings.Replace(text, "limits: {actions: 100, per: 10m}\n", "", 1) // the default is less than 8
	e := enforcing(t, strings.Replace(text, "age: 1s", "age: 1h", 1))
	e.awaitSeries(decisions("broken", "pending"), 5*8) // so that all sockets are old enough in the same round
	write(t, e.rules, text)
	e.signal(syscall.SIGHUP)
	e.awaitSeries(decisions("broken", "breaker"), 8)
	e.awaitSeries(decisions("broken", "suspended"), 10)
	values := e.scrape()
	if n := ended(members); n != 0 || values[decisions("broken", "act")] != 0 || values[suspended("breaker")] != 1 {
		t.Errorf("%d processes have ended: %v", n, values.about(decisions("broken", "act")))
	}
}

func TestWorkersThatLeakOnTheirOwnEndOneAfterTheOther(t *testing.T) {
	exe, members := startWorkers(t, "workers", 5)
	e := enforcing(t, preamble+rule("workers", exe, outbound+soft))
	e.awaitSeries(remediations("workers", "terminated"), 5)
	values := e.scrape()
	if n := ended(members); n != 5 || values[suspended("breaker")] != 0 {
		t.Errorf("%d workers have ended: %v", n, values.about(`rule="workers"}`))
	}
	for _, r := range e.records(t, "workers") {
		if r.Event == "decision" && !strings.Contains(r.Reason, "cooldown: none active, 0 relapses") {
			t.Errorf("a worker that leaked before counts as a relapse: %s", r.Reason)
		}
	}
}

func TestARemediationThatDoesNothingCostsNothing(t *testing.T) {
	denied := startTarget(t, leaktest.Where{}, "denied", "--outbound=3")
	later := leakAs(t, "later")
	text := strings.Replace(preamble, "actions: 100", "actions: 1", 1) + rule("denied", denied.exe, guarded("exit 1")(t, denied)) + rule("later", later, outbound+soft)
	e := enforcing(t, text)
	e.awaitSeries(decisions("denied", "guard_denied"), 3)
	leaktest.Where{Program: later}.Start(t, "--outbound=3")
	e.awaitSeries(remediations("later", "terminated"), 1)
	if values := e.scrape(); values["closewait_reaper_budget_remaining"] != 0 || !denied.alive() {
		t.Errorf("%v", values.about(`rule="denied"}`))
	}
}

// TestNoUserTakesTheCooldownOfAnother has a program of another user with the same name.
func TestNoUserTakesTheCooldownOfAnother(t *testing.T) {
	where := asUser(t, "samename")
	exe, other := where.Program, where.Start(t, "--outbound=3", "--ignore-sigterm")
	e := enforcing(t, preamble+rule("samename", exe, outbound+"steps: [signal: {name: TERM, wait: 300ms}]\n"))
	e.awaitSeries(decisions("samename", "cooldown"), 1)
	own := follow(t, leaktest.Where{Program: exe}.Start(t, "--outbound=3"), exe)
	e.awaitSeries(remediations("samename", "terminated"), 1)
	if own.alive() || !living(openProcess(t, other.PID)) {
		t.Error("the wrong process has ended")
	}
}

// TestDryRunHasNoResults searches the audit file and the log of an exporter in dry run.
func TestDryRunHasNoResults(t *testing.T) {
	v := startTarget(t, leaktest.Where{}, "dry", "--outbound=3")
	e := newFiles(t, preamble+rule("dry", v.exe, outbound+hard)).start(t)
	e.awaitSeries(decisions("dry", "cooldown"), 3)
	audit, err := os.ReadFile(e.audit)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"the audit file": string(audit), "the log": e.log.String()} {
		if strings.Contains(text, "killed") || strings.Contains(text, "result") || strings.Contains(text, "released") || !strings.Contains(text, "signal KILL") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if !v.alive() {
		t.Error("the process has ended")
	}
}

func TestNothingIsDoneWithoutTheFlag(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "flagless", "--outbound=3")
	e := newFiles(t, preamble+rule("flagless", p.exe, outbound+hard)).start(t)
	e.awaitSeries(decisions("flagless", "dry_run"), 1)
	e.awaitSeries(decisions("flagless", "cooldown"), 5)
	values := e.scrape()
	if values[`closewait_reaper_info{mode="dry_run"}`] != 1 || values[actions("flagless", "signal")] != 0 || !p.alive() {
		t.Errorf("it acts: %v", values.about(decisions("flagless", "act")))
	}
}

// TestTheEndOfTheExporterEndsItsRemediations ends it while a guard runs.
func TestTheEndOfTheExporterEndsItsRemediations(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	p := startTarget(t, leaktest.Where{}, "interrupted", "--outbound=3")
	text := guarded("touch "+started+"; exec sleep 4711")(t, p)
	e := enforcing(t, preamble+rule("interrupted", p.exe, text))
	await(t, func() (bool, string) {
		_, err := os.Stat(started)
		return err == nil, "the guard does not run"
	})
	stopped := time.Now()
	e.close()
	if took := time.Since(stopped); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
	if guards := running(t, "sleep\x004711"); len(guards) > 0 {
		t.Errorf("the guard is still running: %v", guards)
	}
	records := e.records(t, "interrupted")
	if last := records[len(records)-1]; last.Event != "end" || last.Result != "aborted" || !p.alive() {
		t.Errorf("the last record is %+v; the process is alive: %v", last, p.alive())
	}
}
