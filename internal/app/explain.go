package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper"
)

// explain scans the host twice, one interval apart, and writes how the rules apply to each
// process. Like list it does not close the host.
func explain(ctx context.Context, o *options, stdout io.Writer) error {
	if o.rulesFile == "" {
		return errors.New("explain needs rules: give --reaper.config=FILE")
	}
	config, err := reaper.Load(o.rulesFile)
	if err != nil {
		return err
	}
	h, err := openHost(o)
	if err != nil {
		return err
	}
	policy, err := enforcedPolicy(config, h)
	if err != nil {
		return err
	}
	observer := closewait.NewObserver(ctx, h.scan, closewait.NewTracker(nil), time.Now)

	view, err := observer.Observe(ctx)
	if err != nil {
		return err
	}
	_, state := policy.Decide(view, learn(ctx, policy, view, reaper.State{}, h))
	select {
	case <-time.After(config.Interval):
	case <-ctx.Done():
		return ctx.Err()
	}
	if view, err = observer.Observe(ctx); err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	if err := reaper.WriteText(out, policy.Explain(view, learn(ctx, policy, view, state, h))); err != nil {
		return err
	}
	return out.Flush()
}

// enforcedPolicy is the policy by which serve would decide with --reaper.enforce.
func enforcedPolicy(config *reaper.Config, h *host) (*reaper.Policy, error) {
	e, err := newExecutor(h)
	if err != nil {
		return nil, err
	}
	own, err := e.Ancestors()
	if err != nil {
		return nil, err
	}
	refused := reaper.Refused(reaper.SelfTest(config, true, e.permitted))
	return reaper.NewPolicy(config, reaper.Terms{Enforce: true, Own: own, Refused: refused}), nil
}

// learn adds the command lines that the rules need to the state.
func learn(ctx context.Context, policy *reaper.Policy, view *closewait.View, state reaper.State, h *host) reaper.State {
	var commands []reaper.Command
	for _, p := range policy.Unknown(view, state) {
		line, err := h.commandLine(ctx, p)
		commands = append(commands, reaper.Command{ID: p.ID, Exe: p.Exe, Line: line, Err: err, Asked: view.Taken})
	}
	return state.Learn(commands)
}
