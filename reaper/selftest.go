package reaper

import "fmt"

// Finding is a step of a rule that this program has no right, or no means, to carry out.
type Finding struct {
	Rule string
	Mode Mode // in force
	Step *Step
	Err  error
}

// SelfTest asks of each step whether it can be carried out, and carries out none. A rule that acts
// and has an impossible step is refused as a whole: a ladder that ends half way is worse than none.
// One in dry run is not; the finding says what is missing.
func SelfTest(config *Config, enforce bool, permitted func(*Step) error) []Finding {
	var findings []Finding
	for i := range config.Rules {
		rule := &config.Rules[i]
		mode := DryRun
		if enforce {
			mode = rule.Mode
		}
		for j := range rule.Steps {
			if err := permitted(&rule.Steps[j]); err != nil {
				findings = append(findings, Finding{rule.Name, mode, &rule.Steps[j], err})
			}
		}
	}
	return findings
}

// Refused are the rules that must not act, and why.
func Refused(findings []Finding) map[string]string {
	refused := map[string]string{}
	for _, f := range findings {
		if f.Mode == Enforce && refused[f.Rule] == "" {
			refused[f.Rule] = fmt.Sprintf("it cannot carry out %s: %v", f.Step, f.Err)
		}
	}
	return refused
}
