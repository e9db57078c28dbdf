package reaper

import (
	"context"
	"fmt"

	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

// Fleet asks the servers that decide for many hosts.
type Fleet interface {
	// BrakeValue evaluates the query of a brake for a rule and a group. An error means that there is
	// no answer to rely on.
	BrakeValue(ctx context.Context, b *rules.Brake, rule, group string) (float64, error)
}

// AskBrake asks a brake about an action of a rule on a group. The label is empty if the action is
// allowed; text says what was answered.
func AskBrake(ctx context.Context, f Fleet, b *rules.Brake, rule, group string) (label policy.Label, text string) {
	value, err := f.BrakeValue(ctx, b, rule, group)
	switch {
	case err != nil:
		return policy.LabelBrakeFailed, err.Error()
	case !(value < b.Below): // also for NaN
		return policy.LabelBrake, fmt.Sprintf("the query returns %g, less than %g required", value, b.Below)
	}
	return "", fmt.Sprintf("the query returns %g, less than %g required", value, b.Below)
}

// gate is what other hosts have to say about a remediation, under the rules in force.
type gate struct {
	*policy.Decision
	fleet   Fleet
	inForce func() (*policy.Policy, policy.State)
}

// pass returns why the remediation must not start or continue; nil if it may. It only reads, so it
// is the same in dry run.
func (g *gate) pass(ctx context.Context) *stop {
	rules, _ := g.inForce()
	b := rules.Fleet().Brake
	if b == nil {
		return nil
	}
	label, text := AskBrake(ctx, g.fleet, b, g.Rule.Name, g.Group)
	switch {
	case ctx.Err() != nil:
		return shuttingDown(ctx)
	case label != "":
		return &stop{aborted, label, text}
	}
	return nil
}
