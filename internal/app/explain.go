package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
	"closewait_exporter/reaper"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
	"closewait_exporter/report"
)

// explain scans the host twice or more, one interval apart, and writes how the rules apply to each
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
	f := newFleet(o)
	e, err := newExecutor(h, f)
	if err != nil {
		return err
	}
	p, err := enforcedPolicy(config, e)
	if err != nil {
		return err
	}
	x := explaining{policy: p, host: h, executor: e, observer: newObserver(ctx, h, nil)}
	view, err := x.observer.Observe(ctx)
	if err != nil {
		return err
	}
	var state policy.State
	for range furtherScans(p) {
		_, state = p.Decide(view, x.learn(ctx, view, state))
		select {
		case <-time.After(config.Interval):
		case <-ctx.Done():
			return ctx.Err()
		}
		if view, err = x.observer.Observe(ctx); err != nil {
			return err
		}
	}
	state = x.learn(ctx, view, state)
	decisions, _ := p.Decide(view, state)
	state = state.LearnSupervision(supervisions(ctx, e, policy.Unasked(decisions)))
	all := p.Explain(view, state)
	askBrake(ctx, f, config.Fleet.Brake, all)
	askSteps(ctx, step.DryRunExecutor{Executor: e}, p, config, all)
	out := bufio.NewWriter(stdout)
	if err := policy.WriteText(out, all, report.Line); err != nil {
		return err
	}
	return out.Flush()
}

// furtherScans is the number of scans after the first one: a socket must be seen twice, and a trend
// needs more.
func furtherScans(p *policy.Policy) int {
	if !p.NeedsFDGrowth() {
		return 1
	}
	return max(history.MinPoints-1, int(history.MinSpan/p.Interval())+1)
}

// explaining is what explain reads the host with.
type explaining struct {
	policy   *policy.Policy
	host     *host
	executor executor
	observer *observer
}

// askBrake adds the answer of the brake to the explanations of decisions to act.
func askBrake(ctx context.Context, f reaper.Fleet, b *rules.Brake, all []policy.Explanation) {
	for i := range all {
		if e := &all[i]; b != nil && len(e.Steps) > 0 {
			label, text := reaper.AskBrake(ctx, f, b, e.Rule, e.Group)
			if label != "" {
				e.Decision, e.Reason = string(label), text
			}
			e.Checks = append(e.Checks, policy.CheckResult{Name: "brake", Holds: label == "", Text: text})
		}
	}
}

// askSteps adds to the explanations of decisions to act whether others than the host would let the
// steps be applied: the API server to an eviction, and systemd to a restart. x must be in dry run.
func askSteps(ctx context.Context, x step.DryRunExecutor, p *policy.Policy, config *rules.Config, all []policy.Explanation) {
	for i := range all {
		e := &all[i]
		if len(e.Steps) == 0 {
			continue
		}
		index := slices.IndexFunc(config.Rules, func(r rules.Rule) bool { return r.Name == e.Rule })
		for _, s := range config.Rules[index].Steps {
			var text string
			var err error
			switch s := s.(type) {
			case step.Evict:
				var answer closewait.EvictionResult
				answer, err = s.Ask(ctx, x, e.Process, config.Fleet.Slots != nil)
				text = "the API server would evict " + answer.Pod
			case step.RestartUnit:
				err = askRestart(ctx, x, p, e.Process.ID, s)
				text = "nothing but polkit, which is not asked, could refuse a restart of " + e.Process.Unit
			default:
				continue
			}
			if err != nil {
				text = err.Error()
			}
			e.Checks = append(e.Checks, policy.CheckResult{Name: s.Kind(), Holds: err == nil, Text: text})
		}
	}
}

// askRestart returns why the service of a process would not be restarted.
func askRestart(ctx context.Context, x step.DryRunExecutor, p *policy.Policy, id closewait.ProcessID, s step.RestartUnit) error {
	h, err := x.Open(id)
	if err != nil {
		return err
	}
	defer h.Close()
	_, err = s.Apply(ctx, &step.Target{Process: h, Executor: x, ProtectsUnit: p.ProtectsUnit})
	return err
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

// supervisions asks who starts processes again.
func supervisions(ctx context.Context, e executor, processes []*closewait.Process) map[closewait.ProcessID]closewait.Supervision {
	known := make(map[closewait.ProcessID]closewait.Supervision, len(processes))
	for _, p := range processes {
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		known[p.ID] = e.finder.Of(limited, p)
		cancel()
	}
	return known
}

// learn adds the command lines, activities and trends that the rules need to the state.
func (x *explaining) learn(ctx context.Context, view *closewait.View, state policy.State) policy.State {
	var commands []policy.Command
	for _, process := range x.policy.UnreadCommands(view, state) {
		line, err := x.host.commandLine(ctx, process)
		commands = append(commands, policy.Command{
			ID: process.ID, Exe: process.Exe, Line: line, Err: err, Read: view.Taken,
		})
	}
	state = state.Learn(commands)
	activities, growth := map[closewait.ProcessID]closewait.Activity{}, map[closewait.ProcessID]closewait.Growth{}
	for _, process := range x.policy.Watched(view, state) {
		a, err := x.executor.Activity(process.ID)
		if err != nil {
			a = closewait.UnknownActivity(err)
		}
		activities[process.ID], growth[process.ID] = a, x.observer.fdGrowth(process.ID)
	}
	return state.LearnActivities(activities).LearnFDGrowth(growth)
}
