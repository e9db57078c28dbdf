package reapertest

import (
	"os"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestNothingIsDoneWithoutAUsableStateFile damages the state file in several ways.
func TestNothingIsDoneWithoutAUsableStateFile(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "stateless", "--outbound=3")
	damages := map[string]func(t *testing.T, path string){
		"garbage": func(t *testing.T, path string) { write(t, path, "\x00\xffgarbage") },
		"empty":   func(t *testing.T, path string) { write(t, path, "") },
		"a directory": func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"changed": func(t *testing.T, path string) {
			write(t, path, `{"checksum":1,"state":{"version":3,"boot_id":"","uptime_ns":0,"actions_ago_ns":null,"no_budget_for_ns":0,"cooldowns":null}}`)
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			f := newFiles(t, preamble+rule("stateless", p.exe, outbound+soft))
			damage(t, f.state)
			e := f.start(t, "--reaper.enforce")
			e.awaitSeries(decisions("stateless", "budget"), 5)
			values := e.scrape()
			if values[decisions("stateless", "act")] != 0 || values[suspended("state_file")] != 1 || values["closewait_reaper_budget_remaining"] != 0 || !p.alive() {
				t.Errorf("the state file does not stop it: %v", values.about(decisions("stateless", "act")))
			}
		})
	}
}

// TestCooldownsAndBudgetSurviveARestart ends the exporter with SIGTERM.
func TestCooldownsAndBudgetSurviveARestart(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "again", "--outbound=3", "--ignore-sigterm")
	f := newFiles(t, preamble+rule("again", p.exe, outbound+"steps: [signal: {name: TERM, wait: 300ms}]\n"))
	e := f.start(t, "--reaper.enforce")
	e.awaitSeries(remediations("again", "aborted"), 1)
	e.close()
	e = f.start(t, "--reaper.enforce")
	e.awaitSeries(decisions("again", "cooldown"), 5)
	values := e.scrape()
	if values[decisions("again", "act")] != 0 || values["closewait_reaper_budget_remaining"] != 99 {
		t.Errorf("it has lost them: %v", values.about(decisions("again", "act")))
	}
}

func TestNothingIsDoneThatCannotBeRecorded(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "unrecorded", "--outbound=3")
	f := newFiles(t, preamble+rule("unrecorded", p.exe, outbound+hard))
	f.audit = "/dev/full"
	e := f.start(t, "--reaper.enforce")
	e.awaitSeries(decisions("unrecorded", "audit_failed"), 1)
	e.awaitRounds(5)
	if values := e.scrape(); values[actions("unrecorded", "signal")] != 0 || !p.alive() {
		t.Errorf("something was done: %v", values.about(decisions("unrecorded", "act")))
	}
}
