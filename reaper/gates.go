package reaper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

// Fleet asks the servers that decide for many hosts.
type Fleet interface {
	// BrakeValue evaluates the query of a brake for a rule and a group. An error means that there is
	// no answer to rely on.
	BrakeValue(ctx context.Context, b *rules.Brake, rule, group string) (float64, error)
	// TakeSlot takes a slot of a rule. It fails with ErrNoSlot if other hosts have all of them.
	TakeSlot(ctx context.Context, s *rules.Slots, rule string) (Slot, error)
}

// Slot is held by this host.
type Slot interface {
	// Renew fails if the slot may not be held any more.
	Renew(context.Context) error
	Release(context.Context) error
}

// ErrNoSlot means that other hosts have all slots.
var ErrNoSlot = errors.New("all slots are taken")

// releaseTimeout limits the time in which a slot is given back, even when the reaper shuts down.
// If that fails it is free after its hold time.
const releaseTimeout = 5 * time.Second

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
	asked   *policy.Policy // whose brake was asked last
	slot    Slot           // nil: none is held
	slotOf  rules.Slots    // slot is one of these
}

// enter returns why the remediation must not start; nil if it may. A slot is taken last.
func (g *gate) enter(ctx context.Context) *stop {
	if s := g.askBrake(ctx); s != nil {
		return s
	}
	return g.askForSlot(ctx)
}

// stay is enter before the step with that index. Before the first one the brake has just been
// asked, unless the rules were reloaded since; the slot is renewed, since the checks before a step
// can take long.
func (g *gate) stay(ctx context.Context, step int) *stop {
	if now, _ := g.inForce(); step > 0 || !now.SameRules(g.asked) {
		return g.enter(ctx)
	}
	return g.askForSlot(ctx)
}

// askBrake only reads, so it is the same in dry run.
func (g *gate) askBrake(ctx context.Context) *stop {
	g.asked, _ = g.inForce()
	b := g.asked.Fleet().Brake
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

// askForSlot makes sure that a slot is held, but in dry run.
func (g *gate) askForSlot(ctx context.Context) *stop {
	rules, _ := g.inForce()
	s := rules.Fleet().Slots
	if s == nil || g.Label != policy.LabelAct {
		return nil
	}
	err := g.holdSlot(ctx, s)
	switch {
	case ctx.Err() != nil:
		return shuttingDown(ctx)
	case errors.Is(err, ErrNoSlot):
		return &stop{aborted, policy.LabelSlot, err.Error()}
	case err != nil:
		return &stop{aborted, policy.LabelSlotFailed, err.Error()}
	}
	return nil
}

// holdSlot takes a slot, or makes sure that it is still held. One of other slots, which a reload
// has replaced, is given back first.
func (g *gate) holdSlot(ctx context.Context, s *rules.Slots) error {
	if g.slot != nil && g.slotOf == *s {
		return g.slot.Renew(ctx)
	}
	if err := g.leave(); err != nil {
		return err
	}
	slot, err := g.fleet.TakeSlot(ctx, s, g.Rule.Name)
	if err != nil {
		return err
	}
	g.slot, g.slotOf = slot, *s
	return nil
}

// leave gives the slot back.
func (g *gate) leave() error {
	if g.slot == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	slot := g.slot
	g.slot = nil
	return slot.Release(ctx)
}
