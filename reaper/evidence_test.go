package reaper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/status"
	"closewait_exporter/reaper/step"
)

// evidenceAndTerm are the steps of a rule that writes evidence first.
var evidenceAndTerm = []step.Step{step.Evidence{}, step.Signal{Name: "TERM", Wait: 10 * time.Second}}

// lastRecord is the record of the end.
func (c *remedying) lastRecord() *Record { return &c.audit.records[len(c.audit.records)-1] }

func TestEvidenceIsWrittenBeforeTheRemedyAndNamed(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.Steps = evidenceAndTerm
		c.leakFor(alice, bob)
		c.on["signal TERM"] = exits
		c.writing = func(context.Context) error {
			if len(c.actions) > 0 {
				t.Errorf("done before: %v", c.actions)
			}
			return nil
		}
		if o := c.remedy(t); o.Result != terminated {
			t.Errorf("%s: %s", o.Result, o.reason)
		}
		if len(c.cases) != 1 || c.cases[0].Process != alice || c.cases[0].ID != c.last.ID() {
			t.Fatalf("written: %+v, want one case of process %d", c.cases, alice.PID)
		}
		file := "/evidence/" + c.last.ID() + ".json"
		if r := c.lastRecord(); r.Event != "end" || !slices.Equal(r.EvidenceFiles, []string{file}) {
			t.Errorf("the last record is %+v, want that it names %s", r, file)
		}
		page := c.last.history.actions
		if i := slices.IndexFunc(page, func(e status.Entry) bool { return e.What == "evidence" }); i < 0 || page[i].Why != file {
			t.Errorf("the page does not name the file: %+v", page)
		}
		var record CaseRecord
		if err := json.Unmarshal(c.cases[0].Record, &record); err != nil {
			t.Fatal(err)
		}
		if record.ID != c.last.ID() || record.Reason == "" || len(record.Targets) != 2 || len(record.Evidence) == 0 || len(record.Steps) != 2 {
			t.Errorf("the case is %s", c.cases[0].Record)
		}
	})
}

func TestNoRemedyDependsOnEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		writing  func(context.Context) error
		failures float64
		takes    time.Duration
	}{
		"it works":          {nil, 0, 0},
		"the disk is full":  {func(context.Context) error { return errors.New("no space left on device") }, 1, 0},
		"the disk hangs":    {func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, 1, step.EvidenceTime},
		"the process ended": {func(context.Context) error { return closewait.ErrGone }, 0, 0},
	} {
		for _, mode := range []rules.Mode{rules.Enforce, rules.DryRun} {
			t.Run(name+" in "+mode.String(), func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *remedying) {
					r.rule.Steps, r.rule.Mode, r.writing = evidenceAndTerm, mode, c.writing
					if mode == rules.DryRun {
						r.executor = step.DryRunExecutor{Executor: r.fakeHost}
					}
					r.leakFor(alice)
					r.metrics.configure(newPolicy(r.rule))
					r.on["signal TERM"] = exits
					var begun time.Time
					r.onScan = func() { begun = time.Now() }
					writing := r.writing
					r.writing = func(ctx context.Context) (err error) {
						started := begun
						if writing != nil {
							err = writing(ctx)
						}
						if took := time.Since(started); took != c.takes {
							t.Errorf("the remedy was kept waiting for %s, want %s", took, c.takes)
						}
						return err
					}
					o := r.remedy(t)
					want := map[rules.Mode]Result{rules.Enforce: terminated}[mode]
					if o.Result != want || mode == rules.DryRun && !slices.Contains(steps(r.lastRecord()), "signal TERM") {
						t.Errorf("%q (%s), want %q: %+v", o.Result, o.reason, want, r.lastRecord())
					}
					if n, _ := sample(t, r.metrics, "closewait_reaper_action_failures_total", "action=evidence", "mode="+mode.String()); n != c.failures {
						t.Errorf("%v failures, want %v", n, c.failures)
					}
					if n, _ := sample(t, r.metrics, "closewait_reaper_actions_total", "action=evidence", "mode="+mode.String()); n != 1 {
						t.Errorf("evidence was written %v times, want 1", n)
					}
				})
			})
		}
	}
}

// steps are the steps that a dry run would have run.
func steps(r *Record) (names []string) {
	if r.DryRunRecord != nil {
		for _, s := range r.WouldRun {
			names = append(names, s.Step)
		}
	}
	return names
}

func TestDryRunWritesEvidence(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.Steps, c.rule.Mode = evidenceAndTerm, rules.DryRun
		c.executor = step.DryRunExecutor{Executor: c.fakeHost}
		c.leakFor(alice)
		c.remedy(t)
		r := c.lastRecord()
		if len(c.cases) != 1 || len(c.actions) > 0 || len(r.EvidenceFiles) != 1 || !slices.Equal(steps(r), []string{"signal TERM"}) {
			t.Errorf("%d cases, actions %v, record %+v", len(c.cases), c.actions, r)
		}
	})
}

func TestEvidenceIsNoRemedy(t *testing.T) {
	for name, c := range map[string]struct {
		steps   []step.Step
		writing func(*remedying) error
		result  Result
		label   policy.Label
		acted   bool
	}{
		"a leak that ends after it was not cured": {
			evidenceAndTerm, func(c *remedying) error { c.processes[0].close(); return nil }, aborted, policy.LabelRecovered, false,
		},
		"a process that ends after it was not ended": {
			evidenceAndTerm, func(c *remedying) error { c.processes[0].exit(); return nil }, aborted, policy.LabelGone, false,
		},
		"alone it is all that the rule wants": {
			evidenceAndTerm[:1], func(*remedying) error { return nil }, aborted, "", true,
		},
		"alone, and it fails": {
			evidenceAndTerm[:1], func(*remedying) error { return errors.New("no space left on device") }, aborted, "", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *remedying) {
				r.rule.Steps = c.steps
				r.leakFor(alice)
				r.writing = func(context.Context) error { return c.writing(r) }
				o := r.remedy(t)
				if o.Result != c.result || o.label != c.label || r.last.acted != c.acted {
					t.Errorf("%s, %q (%s), counts as an action: %t; want %s, %q, %t", o.Result, o.label, o.reason, r.last.acted, c.result, c.label, c.acted)
				}
			})
		})
	}
}

// TestEvidenceHasOfAGuardOnlyWhatTheRuleRecords searches for the arguments of a guard and for its
// output (told).
func TestEvidenceHasOfAGuardOnlyWhatTheRuleRecords(t *testing.T) {
	const argument = "--token=secret"
	for _, recorded := range []bool{false, true} {
		inBubble(t, func(t *testing.T, c *remedying) {
			guard := step.Run{Command: []string{"/bin/guard", argument}, Timeout: time.Minute, RecordArguments: recorded, RecordOutput: recorded}
			c.rule.Steps = []step.Step{guard, step.Evidence{}, step.Signal{Name: "KILL", Wait: time.Second}}
			c.leakFor(alice)
			c.on["signal KILL"] = exits
			c.remedy(t)
			record := string(c.cases[0].Record)
			if !strings.Contains(record, `"step":"run /bin/guard"`) {
				t.Errorf("the result of the guard is not in %s", record)
			}
			for _, secret := range []string{argument, `"told"`} {
				if strings.Contains(record, secret) != recorded {
					t.Errorf("if the rule records it: %t, %s in %s", recorded, secret, record)
				}
			}
		})
	}
}

func TestARuleThatOnlyWritesEvidenceDoesSoOncePerCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunning(t, rule(func(r *rules.Rule) { r.Steps, r.Cooldown = evidenceAndTerm[:1], time.Hour }))
		r.leak(alice)
		r.run()
		after(30 * time.Minute)
		r.halt()
		if len(r.cases) != 1 {
			t.Errorf("%d files within a cooldown, want 1\n%s", len(r.cases), r.log.String())
		}
	})
}

func TestEveryFieldOfACaseIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/EVIDENCE.md")
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(t *testing.T, c *remedying) {
		guard := step.Run{Command: []string{"/bin/guard", "argument"}, Timeout: time.Minute, RecordArguments: true, RecordOutput: true}
		c.rule.Steps = []step.Step{guard, step.Evidence{}}
		c.leakFor(alice)
		c.remedy(t)
		var record any
		if err := json.Unmarshal(c.cases[0].Record, &record); err != nil {
			t.Fatal(err)
		}
		eachField(record, func(name string) {
			if !bytes.Contains(page, []byte("`"+name+"`")) {
				t.Errorf("docs/EVIDENCE.md does not describe %s", name)
			}
		})
	})
}

// eachField calls f with the names of all fields in a JSON value.
func eachField(value any, f func(name string)) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			f(name)
			eachField(inner, f)
		}
	case []any:
		for _, inner := range v {
			eachField(inner, f)
		}
	}
}
