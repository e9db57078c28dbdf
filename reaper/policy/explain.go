package policy

import (
	"fmt"
	"io"
	"strings"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// Explanation is the result of every check of a rule and a process.
type Explanation struct {
	Rule     string
	Process  *closewait.Process // nil if it is about the rule, or about the whole View
	Group    string
	Decision string
	Reason   string
	Checks   []CheckResult
	Steps    []string // the rule would run them in order until the leak is gone
}

// CheckResult is the result of one check.
type CheckResult struct {
	Name  string
	Holds bool
	Text  string
}

// Explain returns the decision of Decide about each process of the View and each rule, with every
// check. Like Decide, it is a pure function. For a View that cannot be used there is one
// Explanation per rule.
func (p *Policy) Explain(view *closewait.View, s State) []Explanation {
	decisions, after := p.Decide(view, s)
	var all []Explanation
	if after.unusable != unlabelled {
		for i := range decisions {
			d := &decisions[i]
			all = append(all, Explanation{Rule: d.Rule.Name, Decision: string(d.Label), Reason: d.Reason()})
		}
		return all
	}
	s = s.under(p)
	r := newRound(p, view, &s)
	made := decisionsByPair(decisions)
	for i := range r.next.processes {
		for j := range p.rules {
			all = append(all, r.explain(&r.next.processes[i], j, made))
		}
	}
	return all
}

// pair is the subject of a decision; without a process for a rule as a whole.
type pair struct {
	rule *rules.Rule
	id   closewait.ProcessID
}

func decisionsByPair(decisions []Decision) map[pair]*Decision {
	made := make(map[pair]*Decision, len(decisions))
	for i := range decisions {
		d := &decisions[i]
		key := pair{rule: d.Rule}
		if d.Process != nil {
			key.id = d.Process.ID
		}
		made[key] = d
	}
	return made
}

// explain makes all checks of one process and one rule, also those after the first that fails.
func (r *round) explain(p *processState, index int, made map[pair]*Decision) Explanation {
	rule := &r.policy.rules[index]
	e := Explanation{Rule: rule.Name, Process: &p.Process, Group: p.group}
	matched, mismatch := rule.Match.Matches(&p.Process, func() (string, error) { return r.next.command(&p.Process) })
	d := made[pair{rule, p.ID}]
	if d == nil && matched {
		d = made[pair{rule: rule}]
	}
	if d != nil {
		e.Decision, e.Reason = string(d.Label), d.Reason()
	}
	if !matched {
		e.Checks = []CheckResult{{"match", false, mismatch.String()}}
		return e
	}
	e.Checks = r.checkAll(p, index)
	if d != nil && d.Acts() {
		for _, s := range rule.Steps {
			e.Steps = append(e.Steps, s.String())
		}
	}
	return e
}

func (r *round) checkAll(p *processState, index int) []CheckResult {
	e := &evaluation{round: r, processState: p, rule: &r.policy.rules[index], index: index, d: r.decision(p, index), thorough: true}
	results := []CheckResult{{"match", true, "every given expression matches"}}
	for i := range checks {
		e.d.Why = ""
		holds := checks[i].Check(e)
		results = append(results, CheckResult{checks[i].Name, holds, checks[i].Message(&e.rule.When, &e.d.Findings)})
	}
	return results
}

// WriteText writes explanations for people: the decision, every check, and the steps. escape makes
// text safe for a terminal, since processes choose their names and paths.
func WriteText(out io.Writer, all []Explanation, escape func(string) string) error {
	var text strings.Builder
	for i := range all {
		all[i].write(&text, escape)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (e *Explanation) write(text *strings.Builder, escape func(string) string) {
	if e.Process == nil {
		fmt.Fprintf(text, "rule %s: %s: %s\n", e.Rule, e.Decision, escape(e.Reason))
		return
	}
	decision := "does not match"
	if e.Decision != "" {
		decision = e.Decision + ": " + escape(e.Reason)
	}
	fmt.Fprintf(text, "process %d (%q, group %q), rule %s: %s\n", e.Process.ID.PID, e.Process.Comm, e.Group, e.Rule, decision)
	for _, c := range e.Checks {
		result := "ok"
		if !c.Holds {
			result = "blocks"
		}
		fmt.Fprintf(text, "  %s: %s (%s)\n", c.Name, result, escape(c.Text))
	}
	for i, step := range e.Steps {
		fmt.Fprintf(text, "  step %d: %s\n", i+1, escape(step))
	}
}
