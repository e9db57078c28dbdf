package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/report"
)

// explain scans the host twice, one interval apart, and writes how the rules apply to each
// process. Like list it does not close the host.
func explain(ctx context.Context, o *options, stdout io.Writer) error {
	if o.rulesFile == "" {
		return errors.New("explain needs rules: give --reaper.config=FILE")
	}
	config, err := rules.Load(o.rulesFile)
	if err != nil {
		return err
	}
	h, err := openHost(o)
	if err != nil {
		return err
	}
	e, err := newExecutor(h)
	if err != nil {
		return err
	}
	p, err := enforcedPolicy(config, e)
	if err != nil {
		return err
	}
	observer := newObserver(ctx, h, nil)
	view, err := observer.Observe(ctx)
	if err != nil {
		return err
	}
	_, state := p.Decide(view, learn(ctx, p, view, policy.State{}, h, e))
	select {
	case <-time.After(config.Interval):
	case <-ctx.Done():
		return ctx.Err()
	}
	if view, err = observer.Observe(ctx); err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	if err := policy.WriteText(out, p.Explain(view, learn(ctx, p, view, state, h, e)), report.Line); err != nil {
		return err
	}
	return out.Flush()
}

// enforcedPolicy is the policy by which serve would decide with --reaper.enforce, except that it
// trusts the ages that the kernel shows: between two scans no rule could observe any.
func enforcedPolicy(config *rules.Config, e executor) (*policy.Policy, error) {
	own, err := e.Ancestors()
	if err != nil {
		return nil, err
	}
	refused := policy.Refused(policy.SelfTest(config, true, e.rights()))
	return policy.New(config, policy.Options{Enforce: true, Own: own, Refused: refused, TrustKernelAges: true}), nil
}

// learn adds the command lines and activities that the rules need to the state.
func learn(ctx context.Context, p *policy.Policy, view *closewait.View, state policy.State, h *host, e executor) policy.State {
	var commands []policy.Command
	for _, process := range p.UnreadCommands(view, state) {
		line, err := h.commandLine(ctx, process)
		commands = append(commands, policy.Command{
			ID: process.ID, Exe: process.Exe, Line: line, Err: err, Read: view.Taken,
		})
	}
	state = state.Learn(commands)
	activities := map[closewait.ProcessID]closewait.Activity{}
	for _, process := range p.Watched(view, state) {
		a, err := e.Activity(process.ID)
		if err != nil {
			a = closewait.UnknownActivity(err)
		}
		activities[process.ID] = a
	}
	return state.LearnActivities(activities)
}
