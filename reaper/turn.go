package reaper

import (
	"context"
	"time"

	"github.com/go-kit/log/level"

	"closewait_exporter/closewait"
)

// commandsPerRound bounds how many command lines are read in a round: each can take as long as
// Options.Command waits.
const commandsPerRound = 64

// round looks at the host, decides, and sets ladders up.
func (r *Reaper) round(ctx context.Context) {
	r.metrics.rounds.Inc()
	r.contend()
	view, err := r.look(ctx)
	r.metrics.suspend(suspendedFailure, err != nil)
	if err != nil {
		if ctx.Err() == nil {
			r.metrics.roundFailures.Inc()
			level.Error(r.options.Logger).Log("msg", "the host could not be looked at: nothing is decided", "err", err)
		}
		return
	}
	before := r.state.Learn(r.read(ctx, r.policy.Unknown(view, r.state)))
	decisions, after := r.policy.Decide(view, before)
	r.commit(decisions, before, after, view.Taken)
	r.metrics.round(decisions, &r.state, time.Now())
	r.note(decisions, view.Taken)
	r.describe(decisions, before.gate)
	for i := range decisions {
		if decisions[i].Acts() {
			r.start(ctx, &decisions[i])
		}
	}
}

// look waits no longer than would be a gap anyway.
func (r *Reaper) look(ctx context.Context) (*closewait.View, error) {
	ctx, cancel := context.WithTimeout(ctx, r.policy.gapAfter())
	defer cancel()
	return r.options.Observe(ctx)
}

// read reads command lines, as many as there is time for; the rest is left to later rounds.
func (r *Reaper) read(ctx context.Context, processes []*closewait.Process) []Command {
	ctx, cancel := context.WithTimeout(ctx, r.policy.config.Interval)
	defer cancel()
	var commands []Command
	for _, p := range processes[:min(len(processes), commandsPerRound)] {
		if ctx.Err() != nil {
			break
		}
		line, err := r.options.Command(ctx, p)
		commands = append(commands, Command{ID: p.ID, Exe: p.Exe, Line: line, Err: err, Asked: time.Now()})
	}
	return commands
}

// contend takes the claim to this host where some rule is to act. While another program has it,
// nothing is done; when that ends, this one goes on.
func (r *Reaper) contend() {
	if r.release != nil || r.policy.Mode() != Enforce {
		return
	}
	before := r.claim
	r.release, r.claim = r.options.Claim()
	r.metrics.suspend(suspendedClaimed, r.claim != nil)
	if r.claim == nil {
		level.Warn(r.options.Logger).Log("msg", "this reaper acts on the host from now on")
		r.restore(time.Now())
	} else if before == nil {
		level.Error(r.options.Logger).Log("msg", "nothing is done", "err", r.claim)
	}
	if (r.claim == nil) != (before == nil) {
		r.adopt()
	}
}

// describe logs what has changed: at level debug, but for what keeps rules from acting.
func (r *Reaper) describe(decisions []Decision, gate Label) {
	for i := range decisions {
		d := &decisions[i]
		switch {
		case d.Label == LabelBreaker:
			level.Error(r.options.Logger).Log("msg", "the breaker has tripped: the rule is suspended", "rule", d.Rule.Name, "group", d.Group, "pid", d.Process.ID.PID, "reason", d.Reason())
		case d.Process == nil && i == 0 && r.state.gate != gate:
			level.Warn(r.options.Logger).Log("msg", "the round does not count", "decision", d.Label, "reason", d.Reason())
		case d.Changed:
			level.Debug(r.options.Logger).Log("msg", "decision", "rule", d.Rule.Name, "group", d.Group, "pid", d.Process.ID.PID, "decision", d.Label, "reason", d.Reason())
		}
	}
}

// note tells the diary.
func (r *Reaper) note(decisions []Decision, at time.Time) {
	if r.state.gate == unlabelled {
		r.diary.round(decisions, r.state.Matched(), at)
	} else if len(decisions) > 0 {
		r.diary.void(&decisions[0], at)
	}
}

// start lets a ladder carry out a decision. It tells when it has ended, whatever happens.
func (r *Reaper) start(ctx context.Context, d *Decision) {
	l := &ladder{
		Decision: d, policy: r.policy, state: r.state, hands: r.options.Hands[d.Rule.Mode], observe: r.options.Observe,
		journal: r.options.Journal, metrics: r.metrics, diary: r.diary, logger: r.options.Logger,
	}
	r.running++
	go func() {
		o := l.climb(ctx)
		r.endings <- Ending{ID: d.ID(), Mode: d.Rule.Mode, At: time.Now(), Idle: !l.acted, Stuck: o.Result == Unkillable}
	}()
}

// ended takes the end of a ladder into the books.
func (r *Reaper) ended(e Ending) {
	r.running--
	r.state = r.state.Ended(e)
	r.unsaved = r.unsaved || e.Mode == Enforce
	r.keep(e.At)
	r.metrics.state(&r.state, e.At)
}
