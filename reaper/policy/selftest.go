package policy

import (
	"errors"
	"fmt"

	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// ImpossibleStep is a step of a rule for which this program lacks a right or a command.
type ImpossibleStep struct {
	Rule string
	Mode rules.Mode // in force
	Step step.Step
	Err  error
}

// SelfTest returns the steps that cannot be carried out. It carries out none. A rule in mode
// enforce with such a step is refused as a whole: half a remediation is worse than none. A rule in
// dry run is not refused; Err says what is missing.
func SelfTest(config *rules.Config, enforce bool, rights step.Rights) []ImpossibleStep {
	var impossible []ImpossibleStep
	for i := range config.Rules {
		rule := &config.Rules[i]
		mode := rules.DryRun
		if enforce {
			mode = rule.Mode
		}
		for _, s := range rule.Steps {
			if err := errors.Join(s.Permitted(rights), rights.Holders); err != nil {
				impossible = append(impossible, ImpossibleStep{rule.Name, mode, s, err})
			}
		}
	}
	return impossible
}

// Refused returns the rules that must not act, by name, and why.
func Refused(impossible []ImpossibleStep) map[string]string {
	refused := map[string]string{}
	for _, s := range impossible {
		if s.Mode == rules.Enforce && refused[s.Rule] == "" {
			refused[s.Rule] = fmt.Sprintf("cannot carry out %s: %v", s.Step, s.Err)
		}
	}
	return refused
}
