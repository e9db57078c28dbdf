package reaper

import (
	"context"
	"slices"
	"time"

	"github.com/go-kit/log/level"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

// commandsPerRound is the maximum number of command lines read in a round: each can take as long as
// Options.Command waits.
const commandsPerRound = 64

// maxAsk is the maximum time for asking, before a step, who starts a process again.
const maxAsk = 5 * time.Second

// round scans the host, decides, and starts remediations.
func (r *Reaper) round(ctx context.Context) {
	r.metrics.rounds.Inc()
	r.acquireLock()
	view, err := r.scan(ctx)
	if r.scanFailed = err != nil; r.scanFailed {
		if ctx.Err() == nil {
			r.metrics.roundFailures.Inc()
			level.Error(r.options.Logger).Log("msg", "Scan failed, skipping this round", "err", err)
		}
		r.refresh(time.Now())
		return
	}
	before := r.state.Learn(r.read(ctx, r.policy.UnreadCommands(view, r.state)))
	watched := r.policy.Watched(view, before)
	before = before.LearnActivities(r.readActivities(watched)).LearnFDGrowth(r.readFDGrowth(watched))
	decisions, after := r.policy.Decide(view, before)
	if unasked := policy.Unasked(decisions); len(unasked) > 0 {
		decisions, after = r.policy.Decide(view, before.LearnSupervision(r.readSupervision(ctx, unasked)))
	}
	r.commit(decisions, before, after, view.Taken)
	r.lastRound = time.Now()
	r.refresh(r.lastRound)
	r.metrics.count(decisions)
	r.remember(decisions, view.Taken)
	r.logDecisions(decisions, before.Unusable())
	for i := range decisions {
		if decisions[i].Acts() {
			r.start(ctx, &decisions[i])
		}
	}
}

// scan waits no longer than the time that counts as a gap.
func (r *Reaper) scan(ctx context.Context) (*closewait.View, error) {
	ctx, cancel := context.WithTimeout(ctx, r.policy.MaxGap())
	defer cancel()
	return r.options.Observe(ctx)
}

// askTime is the maximum time of a round for reading command lines, and again for asking who starts
// processes again. Together they take an interval at most, so that the next View does not come
// after a gap.
func askTime(p *policy.Policy) time.Duration { return p.Interval() / 2 }

// read reads command lines for at most askTime; the rest is left to later rounds.
func (r *Reaper) read(ctx context.Context, processes []*closewait.Process) []policy.Command {
	ctx, cancel := context.WithTimeout(ctx, askTime(r.policy))
	defer cancel()
	var commands []policy.Command
	for _, p := range processes[:min(len(processes), commandsPerRound)] {
		if ctx.Err() != nil {
			break
		}
		line, err := r.options.Command(ctx, p)
		commands = append(commands, policy.Command{ID: p.ID, Exe: p.Exe, Line: line, Err: err, Read: time.Now()})
	}
	return commands
}

// readActivities finds out whether processes can run. One for which that is unknown counts as
// halted.
func (r *Reaper) readActivities(processes []*closewait.Process) map[closewait.ProcessID]closewait.Activity {
	activities := make(map[closewait.ProcessID]closewait.Activity, len(processes))
	for _, p := range processes {
		a, err := r.options.Activity(p.ID)
		if err != nil {
			a = closewait.UnknownActivity(err)
		}
		activities[p.ID] = a
	}
	return activities
}

// readFDGrowth finds out how fast the descriptors of processes grow, if some rule asks for it.
func (r *Reaper) readFDGrowth(processes []*closewait.Process) map[closewait.ProcessID]closewait.Growth {
	growth := map[closewait.ProcessID]closewait.Growth{}
	if r.policy.NeedsFDGrowth() {
		for _, p := range processes {
			growth[p.ID] = r.options.FDGrowth(p.ID)
		}
	}
	return growth
}

// readSupervision asks who starts processes again, for at most askTime. A process about which
// there was no time to ask has no answer, so that no rule ends it; which ones these are changes
// from round to round.
func (r *Reaper) readSupervision(ctx context.Context, processes []*closewait.Process) map[closewait.ProcessID]closewait.Supervision {
	ctx, cancel := context.WithTimeout(ctx, askTime(r.policy))
	defer cancel()
	known := make(map[closewait.ProcessID]closewait.Supervision, len(processes))
	r.asked %= len(processes)
	for _, p := range slices.Concat(processes[r.asked:], processes[:r.asked]) {
		if ctx.Err() != nil {
			break
		}
		known[p.ID] = r.options.Supervision(ctx, p)
		r.asked++
	}
	return known
}

// acquireLock takes the lock of this host if some rule acts. While another program holds it, no
// rule acts. It is tried again in each round, so this program takes over when the other one ends.
func (r *Reaper) acquireLock() {
	if r.release != nil || r.policy.Mode() != rules.Enforce {
		return
	}
	before := r.lockErr
	r.release, r.lockErr = r.options.Lock()
	if r.lockErr == nil {
		level.Warn(r.options.Logger).Log("msg", "Acquired the host lock; enforcement active")
		r.restore(time.Now())
	} else if before == nil {
		level.Error(r.options.Logger).Log("msg", "Cannot acquire the host lock; enforcement suspended", "err", r.lockErr)
	}
	if (r.lockErr == nil) != (before == nil) {
		r.applyConfig()
	}
}

// logDecisions logs decisions that have changed. The level is debug, except for decisions that keep
// a rule from acting on any process.
func (r *Reaper) logDecisions(decisions []policy.Decision, unusable policy.Label) {
	for i := range decisions {
		d := &decisions[i]
		switch {
		case d.Label == policy.LabelBreaker:
			level.Error(r.options.Logger).Log("msg", "Breaker tripped, rule suspended", "rule", d.Rule.Name, "group", d.Group, "pid", d.Process.ID.PID, "reason", d.Reason())
		case d.Process == nil && i == 0 && r.state.Unusable() != unusable:
			level.Warn(r.options.Logger).Log("msg", "Scan unusable, skipping this round", "decision", d.Label, "reason", d.Reason())
		case d.Changed:
			level.Debug(r.options.Logger).Log("msg", "Decision changed", "rule", d.Rule.Name, "group", d.Group, "pid", d.Process.ID.PID, "decision", d.Label, "reason", d.Reason())
		}
	}
}

// remember enters decisions into the history.
func (r *Reaper) remember(decisions []policy.Decision, at time.Time) {
	if r.state.Unusable() == "" {
		r.history.round(decisions, at)
	} else if len(decisions) > 0 {
		r.history.unusable(&decisions[0], r.policy.Mode(), at)
	}
}

// start runs a remediation for a decision. Its result always arrives.
func (r *Reaper) start(ctx context.Context, d *policy.Decision) {
	run := &remediation{
		Decision: d, policy: r.policy, inForce: r.rulesInForce, gate: gate{Decision: d, fleet: r.options.Fleet, inForce: r.rulesInForce}, executor: r.options.Executors[d.Rule.Mode], observe: r.options.Observe, command: r.options.Command, fdGrowth: r.options.FDGrowth, supervision: r.supervision,
		audit: r.options.AuditLog, metrics: r.metrics, history: r.history, logger: r.options.Logger,
	}
	r.running++
	go func() {
		o := run.run(ctx)
		r.results <- policy.RunResult{ID: d.ID(), Mode: d.Rule.Mode, At: time.Now(), NoAction: !run.acted, Label: o.label, Unkillable: o.Result == unkillable}
	}()
}

// supervision asks before a step who starts a process again.
func (r *Reaper) supervision(ctx context.Context, p *closewait.Process) closewait.Supervision {
	ctx, cancel := context.WithTimeout(ctx, maxAsk)
	defer cancel()
	return r.options.Supervision(ctx, p)
}

// ended enters the result of a remediation into the state. The file is written as of now: a round
// can have reserved actions since the remediation ended.
func (r *Reaper) ended(result policy.RunResult) {
	r.running--
	r.state = r.state.Ended(result)
	r.unsaved = r.unsaved || result.Mode == rules.Enforce
	now := time.Now()
	r.save(now)
	r.refresh(now)
}
