package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

func TestARuleIsRefusedIfARightIsMissing(t *testing.T) {
	missing := errors.New("CAP_X is missing")
	steps := func(list ...step.Step) rules.Rule { return rule(func(r *rules.Rule) { r.Steps = list }) }
	trial := rule(func(r *rules.Rule) { r.Mode = rules.DryRun })
	scenarios := map[string]struct {
		rule       rules.Rule
		notEnforce bool // --reaper.enforce is not given
		rights     step.Rights
		impossible int
		refused    string
	}{
		"all rights":                              {rule: rule()},
		"a right that no step needs":              {rule: rule(), rights: step.Rights{Destroy: missing}},
		"a right of the second step":              {rule: steps(step.ThreadDump{}, step.Destroy{}), rights: step.Rights{Destroy: missing}, impossible: 1, refused: "cannot carry out destroy: CAP_X is missing"},
		"the holders, which every step needs":     {rule: rule(), rights: step.Rights{Holders: missing}, impossible: 2, refused: "cannot carry out signal TERM: CAP_X is missing"},
		"a rule in dry run is not refused":        {rule: trial, rights: step.Rights{Signal: missing}, impossible: 2},
		"without the flag all rules are dry runs": {rule: rule(), notEnforce: true, rights: step.Rights{Signal: missing}, impossible: 2},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			impossible := SelfTest(config(s.rule), !s.notEnforce, s.rights)
			if refused := Refused(impossible); len(impossible) != s.impossible || refused["leak"] != s.refused {
				t.Errorf("%d steps are impossible, want %d; refused because of %q, want %q", len(impossible), s.impossible, refused["leak"], s.refused)
			}
		})
	}
}

func TestTheSelfTestChecksTheCommandOfEachRun(t *testing.T) {
	r := rule(func(r *rules.Rule) {
		r.Steps = []step.Step{step.Run{Command: []string{"/bin/ok"}}, step.Run{Command: []string{"/bin/missing", "{pid}"}}}
	})
	var checked []string
	impossible := SelfTest(config(r), true, step.Rights{RunGuard: func(command []string) error {
		checked = append(checked, command[0])
		if command[0] == "/bin/missing" {
			return errors.New("no such file")
		}
		return nil
	}})
	if !slices.Equal(checked, []string{"/bin/ok", "/bin/missing"}) || len(impossible) != 1 || !strings.Contains(Refused(impossible)["leak"], "run /bin/missing: no such file") {
		t.Errorf("checked %q, impossible: %v", checked, impossible)
	}
}
