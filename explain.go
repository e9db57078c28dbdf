package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	"closewait_exporter/reaper"
)

// explain looks at the host twice, an interval apart, and says what the rules make of each process.
// It acts on nothing.
func explain(ctx context.Context, f *flags) error {
	if f.rulesFile == "" {
		return errors.New("explain needs rules: give --reaper.config=FILE")
	}
	config, err := reaper.Load(f.rulesFile)
	if err != nil {
		return err
	}
	scanner, err := kernel.NewScanner(f.kernel)
	if err != nil {
		return err
	}
	defer scanner.Close()
	policy, err := policyOf(config, scanner)
	if err != nil {
		return err
	}
	observer := closewait.NewObserver(ctx, scanner.Scan, closewait.NewTracker(nil), time.Now)
	lines := kernel.NewCommandLines(scanner)

	view, err := observer.Observe(ctx)
	if err != nil {
		return err
	}
	_, state := policy.Decide(view, learn(ctx, policy, view, reaper.State{}, lines))
	select {
	case <-time.After(config.Interval):
	case <-ctx.Done():
		return ctx.Err()
	}
	if view, err = observer.Observe(ctx); err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if err := reaper.WriteText(out, policy.Explain(view, learn(ctx, policy, view, state, lines))); err != nil {
		return err
	}
	return out.Flush()
}

// policyOf is that under which serve would decide if it was told to enforce.
func policyOf(config *reaper.Config, scanner *kernel.Scanner) (*reaper.Policy, error) {
	h, err := newHands(scanner)
	if err != nil {
		return nil, err
	}
	own, err := h.Ancestors()
	if err != nil {
		return nil, err
	}
	refused := reaper.Refused(reaper.SelfTest(config, true, h.permitted))
	return reaper.NewPolicy(config, reaper.Terms{Enforce: true, Own: own, Refused: refused}), nil
}

// learn reads the command lines that the rules need.
func learn(ctx context.Context, policy *reaper.Policy, view *closewait.View, state reaper.State, lines *kernel.CommandLines) reaper.State {
	var commands []reaper.Command
	for _, p := range policy.Unknown(view, state) {
		line, err := lines.Of(ctx, p)
		commands = append(commands, reaper.Command{ID: p.ID, Exe: p.Exe, Line: line, Err: err, Asked: view.Taken})
	}
	return state.Learn(commands)
}
