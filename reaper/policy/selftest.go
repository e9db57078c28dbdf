package policy

import (
	"errors"
	"fmt"

	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// Finding is a step of a rule for which this program lacks a right or a command.
type Finding struct {
	Rule string
	Mode rules.Mode // in force
	Step step.Step
	Err  error
}

// SelfTest checks for each step whether it can be carried out, and carries out none. A rule that
// acts and has an impossible step is refused as a whole: half a remediation is worse than none. A
// rule in dry run is not refused; the finding says what is missing.
func SelfTest(config *rules.Config, enforce bool, rights step.Rights) []Finding {
	var findings []Finding
	for i := range config.Rules {
		rule := &config.Rules[i]
		mode := rules.DryRun
		if enforce {
			mode = rule.Mode
		}
		for _, s := range rule.Steps {
			if err := errors.Join(s.Permitted(rights), rights.Holders); err != nil {
				findings = append(findings, Finding{rule.Name, mode, s, err})
			}
		}
	}
	return findings
}

// Refused returns the rules that must not act, and why.
func Refused(findings []Finding) map[string]string {
	refused := map[string]string{}
	for _, f := range findings {
		if f.Mode == rules.Enforce && refused[f.Rule] == "" {
			refused[f.Rule] = fmt.Sprintf("cannot carry out %s: %v", f.Step, f.Err)
		}
	}
	return refused
}
