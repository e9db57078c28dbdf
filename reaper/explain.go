package reaper

import (
	"fmt"
	"io"
	"strings"

	"closewait_exporter/closewait"
)

// Explanation says which conditions of a rule a process fulfils, and what would be done.
type Explanation struct {
	Rule       string             `json:"rule"`
	Process    *closewait.Process `json:"-"` // nil where it is about the rule, or about the whole View
	PID        int                `json:"pid,omitempty"`
	Group      string             `json:"group,omitempty"`
	Decision   string             `json:"decision"`
	Reason     string             `json:"reason"`
	Conditions []Condition        `json:"conditions,omitempty"`
	Steps      []string           `json:"steps,omitempty"` // that would be done, in order, until the leak is gone
}

// Condition is one of the things that must hold before something is done.
type Condition struct {
	Name  string `json:"name"`
	Holds bool   `json:"holds"`
	Text  string `json:"text"`
}

// Explain says what Decide makes of each process of the View and each rule, and why. It is as pure.
// A View that does not count is explained once for each rule.
func (p *Policy) Explain(view *closewait.View, s State) []Explanation {
	decisions, after := p.Decide(view, s)
	var all []Explanation
	if after.gate != unlabelled {
		for i := range decisions {
			all = append(all, newExplanation(&decisions[i]))
		}
		return all
	}
	s = s.under(p)
	r := newRound(p, view, &s)
	made := decisionsOf(decisions)
	for i := range r.next.crowd {
		for j := range p.rules {
			all = append(all, r.explain(&r.next.crowd[i], j, made))
		}
	}
	return all
}

// pair is what a decision is about; of a rule as a whole the process is missing.
type pair struct {
	rule *Rule
	id   closewait.ProcessID
}

func decisionsOf(decisions []Decision) map[pair]*Decision {
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

func newExplanation(d *Decision) Explanation {
	return Explanation{Rule: d.Rule.Name, Process: d.Process, Group: d.Group, Decision: d.Label.String(), Reason: d.Reason()}
}

// explain asks all questions about one process and one rule, also those after the first no.
func (r *round) explain(m *memory, index int, made map[pair]*Decision) Explanation {
	rule := &r.policy.rules[index]
	e := Explanation{Rule: rule.Name, Process: &m.Process, PID: m.ID.PID, Group: m.group}
	matched, mismatch := rule.Match.Matches(&m.Process, func() (string, error) { return r.next.command(&m.Process) })
	d := made[pair{rule, m.ID}]
	if d == nil && matched {
		d = made[pair{rule: rule}]
	}
	if d != nil {
		e.Decision, e.Reason = d.Label.String(), d.Reason()
	}
	if !matched {
		e.Conditions = []Condition{{"match", false, mismatch.String()}}
		return e
	}
	e.Conditions = r.ask(m, index)
	if d != nil && d.Acts() {
		for i := range rule.Steps {
			e.Steps = append(e.Steps, rule.Steps[i].String())
		}
	}
	return e
}

func (r *round) ask(m *memory, index int) []Condition {
	q := &inquiry{round: r, memory: m, rule: &r.policy.rules[index], index: index, d: r.decision(m, index), thorough: true}
	conditions := []Condition{{"match", true, "all that is asked for fits"}}
	for _, s := range stages {
		q.d.Why = ""
		holds := s.ask(q)
		conditions = append(conditions, Condition{s.name, holds, s.tell(&q.d)})
	}
	return conditions
}

// WriteText shows explanations to people: what would be done, and which conditions hold.
func WriteText(out io.Writer, all []Explanation) error {
	var text strings.Builder
	for i := range all {
		all[i].write(&text)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (e *Explanation) write(text *strings.Builder) {
	if e.Process == nil {
		fmt.Fprintf(text, "rule %s: %s: %s\n", e.Rule, e.Decision, e.Reason)
		return
	}
	fmt.Fprintf(text, "process %d (%q, group %q), rule %s: %s\n", e.PID, e.Process.Comm, e.Group, e.Rule, e.verdict())
	for _, c := range e.Conditions {
		mark := "yes"
		if !c.Holds {
			mark = "no"
		}
		fmt.Fprintf(text, "  %-3s %-13s %s\n", mark, c.Name, c.Text)
	}
	for i, step := range e.Steps {
		fmt.Fprintf(text, "  step %d: %s\n", i+1, step)
	}
}

func (e *Explanation) verdict() string {
	if e.Decision == "" {
		return "does not match"
	}
	return e.Decision + ": " + e.Reason
}
