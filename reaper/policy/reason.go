package policy

import (
	"fmt"
	"strings"
)

// Reason explains the decision in words, with all its numbers.
func (d *Decision) Reason() string {
	switch d.Label {
	case LabelAct, LabelDryRun:
		return fmt.Sprintf("%s; actions left: %d", d.numbers(), d.BudgetLeft)
	case LabelBudget:
		if d.Why != "" {
			return d.Why
		}
		return fmt.Sprintf("%d actions required, %d left within limits", d.Cost(), d.BudgetLeft)
	case LabelBreaker:
		return fmt.Sprintf("the rule would have acted on %d groups within %s, and matches %d healthy ones", d.Due, breakerWindow, d.Healthy)
	}
	if d.Process == nil || d.Label == LabelIncompleteScan || d.check == len(checks) {
		return d.Why
	}
	return checks[d.check].Message(&d.Rule.When, &d.Findings)
}

// numbers joins the messages of the checks that justify an action.
func (d *Decision) numbers() string {
	var all []string
	for i := range checks {
		if c := &checks[i]; c.Numbers {
			all = append(all, c.Name+": "+c.Message(&d.Rule.When, &d.Findings))
		}
	}
	return strings.Join(all, "; ")
}
