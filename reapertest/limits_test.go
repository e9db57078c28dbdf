package reapertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
		v := startTarget(t, leaktest.Where{}, fmt.Sprint(name, i), "--outbound=3")
		members = append(members, v)
		paths = append(paths, regexp.QuoteMeta(v.exe))
	}
	return strings.Join(paths, "|"), members
}

func ended(members []*target) (n int) {
	for _, v := range members {
		if !v.alive() {
			n++
		}
	}
	return n
}

func TestNoMoreIsDoneThanLimitsAllow(t *testing.T) {
	exes, members := startTargets(t, "limited", 4)
	text := preamble + "  - name: limited\n    mode: enforce\n    match: {exe: '" + exes + "'}\n    " + strings.ReplaceAll(outbound, "\n", "\n    ") + soft
	e := enforcing(t, strings.Replace(text, "actions: 100", "actions: 2", 1))
	e.awaitSeries(reaped("limited", "terminated"), 2)
	e.awaitSeries(decisions("limited", "budget"), 10)
	if n := ended(members); n != 2 {
		t.Errorf("%d processes have ended, want 2", n)
	}
	if left := e.scrape()["closewait_reaper_budget_remaining"]; left != 0 {
		t.Errorf("%v actions are left", left)
	}
}

func TestARuleThatHitsTooManyAtOnceIsSuspended(t *testing.T) {
	exes, members := startTargets(t, "broken", 4)
	e := enforcing(t, preamble+"  - name: broken\n    mode: enforce\n    match: {exe: '"+exes+"'}\n    "+strings.ReplaceAll(outbound, "\n", "\n    ")+soft)
	e.awaitSeries(decisions("broken", "breaker"), 4)
	e.awaitSeries(decisions("broken", "suspended"), 10)
	values := e.scrape()
	if n := ended(members); n != 0 || values[decisions("broken", "act")] != 0 || values[suspended("breaker")] != 1 {
		t.Errorf("%d processes have ended: %v", n, values.about(decisions("broken", "act")))
	}
}

func TestNothingIsDoneWithoutTheFlag(t *testing.T) {
	v := startTarget(t, leaktest.Where{}, "flagless", "--outbound=3")
	e := newFiles(t, preamble+rule("flagless", v.exe, outbound+hard)).start(t)
	e.awaitSeries(decisions("flagless", "dry_run"), 1)
	e.awaitSeries(decisions("flagless", "cooldown"), 5)
	values := e.scrape()
	if values[`closewait_reaper_info{mode="dry_run"}`] != 1 || values[actions("flagless", "signal")] != 0 || !v.alive() {
		t.Errorf("it acts: %v", values.about(decisions("flagless", "act")))
	}
}

// TestTheEndOfTheExporterEndsItsRemediations ends it while a guard runs.
func TestTheEndOfTheExporterEndsItsRemediations(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	v := startTarget(t, leaktest.Where{}, "interrupted", "--outbound=3")
	text := guarded("touch "+started+"; exec sleep 4711")(t, v)
	e := enforcing(t, preamble+rule("interrupted", v.exe, text))
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
	if last := records[len(records)-1]; last.Event != "end" || last.Result != "aborted" || !v.alive() {
		t.Errorf("the last record is %+v; the process is alive: %v", last, v.alive())
	}
}
