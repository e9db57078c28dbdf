package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

// explain looks at the host twice, an interval apart, and says what the rules make of each process.
// It acts on nothing.
func explain(ctx context.Context, f *flags) error {
	if f.rulesFile == "" {
		return errors.New("explain needs rules: give --reaper.config=FILE")
	}
	config, err := rules.Load(f.rulesFile)
	if err != nil {
		return err
	}
	scanner, err := kernel.NewScanner(f.kernel)
	if err != nil {
		return err
	}
	defer scanner.Close()
	p, err := policyOf(config, scanner)
	if err != nil {
		return err
	}
	observer := closewait.NewObserver(ctx, scanner.Scan, closewait.NewTracker(nil), time.Now)
	lines := kernel.NewCommandLines(scanner)

	view, err := observer.Observe(ctx)
	if err != nil {
		return err
	}
	_, state := p.Decide(view, learn(ctx, p, view, policy.State{}, lines))
	select {
	case <-time.After(config.Interval):
	case <-ctx.Done():
		return ctx.Err()
	}
	if view, err = observer.Observe(ctx); err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if err := policy.WriteText(out, p.Explain(view, learn(ctx, p, view, state, lines))); err != nil {
		return err
	}
	return out.Flush()
}

// policyOf is that under which serve would decide if it was told to enforce.
func policyOf(config *rules.Config, scanner *kernel.Scanner) (*policy.Policy, error) {
	h, err := newHands(scanner)
	if err != nil {
		return nil, err
	}
	own, err := h.Ancestors()
	if err != nil {
		return nil, err
	}
	refused := policy.Refused(policy.SelfTest(config, true, h.rights()))
	return policy.New(config, policy.Options{Enforce: true, Own: own, Refused: refused}), nil
}

// learn reads the command lines that the rules need.
func learn(ctx context.Context, p *policy.Policy, view *closewait.View, state policy.State, lines *kernel.CommandLines) policy.State {
	var commands []policy.Command
	for _, process := range p.Unknown(view, state) {
		line, err := lines.Of(ctx, process)
		commands = append(commands, policy.Command{ID: process.ID, Exe: process.Exe, Line: line, Err: err, Read: view.Taken})
	}
	return state.Learn(commands)
}
