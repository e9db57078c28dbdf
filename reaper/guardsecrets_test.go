package reaper

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// TestWhatAGuardIsGivenAndWritesIsSecret searches for the arguments of a guard (argument) and for
// its output (told) in everything that the reaper writes or shows.
func TestWhatAGuardIsGivenAndWritesIsSecret(t *testing.T) {
	const argument, told = "--webhook=https://hooks.example/argument", "told"
	for _, c := range []struct {
		name                string
		arguments, output   bool
		result              error // of the guard
		mode                rules.Mode
		recorded, notRecord []string // in the log and the audit file
	}{
		{"by default", false, false, nil, rules.Enforce, nil, []string{argument, told}},
		{"by default, and it denies", false, false, closewait.ErrGuardDenied, rules.Enforce, nil, []string{argument, told}},
		{"by default, and it fails", false, false, closewait.ErrGuardFailed, rules.Enforce, nil, []string{argument, told}},
		{"by default, in dry run", false, false, nil, rules.DryRun, nil, []string{argument, told}},
		{"if the rule allows the arguments", true, false, nil, rules.Enforce, []string{argument}, []string{told}},
		{"if the rule allows the output", false, true, nil, rules.Enforce, []string{told}, []string{argument}},
		{"if the rule allows both, and it denies", true, true, closewait.ErrGuardDenied, rules.Enforce, []string{argument, told}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guarded := rule(func(r *rules.Rule) {
					r.Mode = c.mode
					guard := step.Run{Command: []string{"/bin/guard", argument}, Timeout: time.Minute, RecordArguments: c.arguments, RecordOutput: c.output}
					r.Steps = []step.Step{guard, step.Signal{Name: "KILL", Wait: time.Second}}
				})
				r := newRunning(t, guarded)
				r.on["run /bin/guard"] = func(*fakeProcess) error { return c.result }
				r.on["signal KILL"] = exits
				r.leak(alice)
				r.run()
				after(3 * time.Minute)
				shown := fmt.Sprintf("%+v", r.Status())
				r.halt()
				audit, err := json.Marshal(r.audit.records)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(shown, "run /bin/guard") || !strings.Contains(string(audit), "run /bin/guard") {
					t.Fatalf("the guard was not run: %s\n%s", shown, audit)
				}
				for _, secret := range []string{argument, told} {
					if strings.Contains(shown, secret) {
						t.Errorf("the page shows %s: %s", secret, shown)
					}
				}
				for where, text := range map[string]string{"log": r.log.String(), "audit file": string(audit)} {
					for _, want := range c.recorded {
						if !strings.Contains(text, want) {
							t.Errorf("the %s lacks %s: %s", where, want, text)
						}
					}
					for _, secret := range c.notRecord {
						if strings.Contains(text, secret) {
							t.Errorf("the %s has %s: %s", where, secret, text)
						}
					}
				}
			})
		})
	}
}
