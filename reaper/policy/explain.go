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
			all = append(all, explainRule(&decisions[i]))
		}
		return all
	}
	s = s.under(p)
	r := newRound(p, view, &s)
	made := decisionsByPair(decisions)
	matched := make([]bool, len(p.rules))
	for i := range r.next.processes {
		for j := range p.rules {
			e := r.explain(&r.next.processes[i], j, made)
			matched[j] = matched[j] || e.matched()
			all = append(all, e)
		}
	}
	for j := range p.rules {
		if d := made[pair{rule: &p.rules[j]}]; d != nil && !matched[j] {
			all = append(all, explainRule(d))
		}
	}
	return all
}

func explainRule(d *Decision) Explanation {
	return Explanation{Rule: d.Rule.Name, Decision: string(d.Label), Reason: d.Reason()}
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

// WriteText writes explanations for people: a line for each process and rule, with the decision and
// its reason first, and below it every check. The rules that match a process come first. escape
// makes text safe for a terminal, since processes choose their names and paths.
func WriteText(out io.Writer, all []Explanation, escape func(string) string) error {
	var text strings.Builder
	if len(all) == 0 {
		text.WriteString("No process holds ended connections, so there is nothing to decide.\n")
	}
	for _, matched := range []bool{true, false} {
		for i := range all {
			if all[i].matched() == matched {
				all[i].write(&text, escape)
			}
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// matched reports whether the rule matches the process, or no process was asked about.
func (e *Explanation) matched() bool { return len(e.Checks) == 0 || e.Checks[0].Holds }

func (e *Explanation) write(text *strings.Builder, escape func(string) string) {
	fmt.Fprintf(text, "%s (%s)\n", escape(e.headline()), e.subject())
	if !e.matched() {
		return
	}
	for _, c := range e.Checks {
		result := "ok"
		if !c.Holds {
			result = "blocks"
		}
		fmt.Fprintf(text, "  %s: %s (%s)\n", c.Name, result, escape(c.Text))
	}
}

// headline is the decision and its reason, or the steps that would be run.
func (e *Explanation) headline() string {
	steps := strings.Join(e.Steps, ", then ")
	switch {
	case !e.matched():
		return "no match: " + e.Checks[0].Text
	case e.Decision == string(LabelDryRun):
		return e.Decision + ": all conditions hold; with mode: enforce the rule would run " + steps
	case e.Decision == string(LabelAct):
		return e.Decision + ": all conditions hold; the rule would run " + steps
	}
	return e.Decision + ": " + e.Reason
}

// subject names the rule, the process and, if it is more than the name of the process, its group.
func (e *Explanation) subject() string {
	if e.Process == nil {
		return "rule " + e.Rule
	}
	text := fmt.Sprintf("rule %s, process %d %q", e.Rule, e.Process.ID.PID, e.Process.Comm)
	if e.Group != e.Process.Comm {
		text += fmt.Sprintf(" of %q", e.Group)
	}
	return text
}
