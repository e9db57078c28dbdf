package reaper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-kit/log"

	"closewait_exporter/closewait"
)

// ladder is what is done about one decision: its steps in order, each only while the reason for it
// is still there.
type ladder struct {
	*Decision
	policy  *Policy
	state   State // after the decision
	hands   Hands
	observe Observe
	journal Journal
	metrics *Metrics
	diary   *diary
	logger  log.Logger

	victims   []victim
	deeds     []Receipt
	touched   bool // a step was tried
	acted     bool // a step was done
	cut       bool // connections were ended, so that CLOSE_WAIT does not tell any more what is leaked
	signalled bool
	sentKill  bool
}

// Observe takes a fresh look at the host.
type Observe func(context.Context) (*closewait.View, error)

// victim is a process that is held on to.
type victim struct {
	Victim
	process *closewait.Process
	exited  bool
}

// climb carries out the steps, and ends with ctx.
func (l *ladder) climb(ctx context.Context) outcome {
	defer l.release()
	s := l.try(ctx)
	out := outcome{Result: s.result, label: s.label, reason: s.reason, touched: l.touched}
	if l.touched {
		out.sockets, out.fds = l.released()
	}
	l.conclude(&out)
	return out
}

func (l *ladder) try(ctx context.Context) stop {
	if s := l.grab(); s != nil {
		return *s
	}
	if err := l.announce(); err != nil {
		return stop{Aborted, LabelAuditFailed, err.Error()}
	}
	for i := range l.Rule.Steps {
		step := &l.Rule.Steps[i]
		evidence, s := l.check(ctx, step)
		if s == nil {
			s = l.do(ctx, step, evidence)
		}
		if s == nil {
			s = l.await(ctx, step)
		}
		if s != nil {
			return *s
		}
	}
	if _, s := l.check(ctx, nil); s != nil {
		return *s
	}
	return stop{Aborted, unlabelled, "all steps are done, and the leak is still there"}
}

// grab takes hold of all victims, or of none.
func (l *ladder) grab() *stop {
	for _, p := range l.Decision.victims() {
		v, err := l.hands.Grab(p.ID)
		switch {
		case errors.Is(err, closewait.ErrGone):
			return &stop{Aborted, LabelGone, err.Error()}
		case err != nil:
			return &stop{Aborted, unlabelled, fmt.Sprintf("take hold of process %d: %v", p.ID.PID, err)}
		}
		l.victims = append(l.victims, victim{Victim: v, process: p})
	}
	return nil
}

func (l *ladder) release() {
	for _, v := range l.victims {
		v.Close()
	}
}

// living are the victims that have not ended.
func (l *ladder) living() ([]*victim, error) {
	var living []*victim
	for i := range l.victims {
		v := &l.victims[i]
		if !v.exited {
			exited, err := v.Exited()
			if err != nil {
				return nil, err
			}
			v.exited = exited
		}
		if !v.exited {
			living = append(living, v)
		}
	}
	return living, nil
}

// ended is how the ladder stops when no victim lives.
func (l *ladder) ended() *stop {
	switch {
	case l.sentKill:
		return &stop{Killed, unlabelled, "ended after KILL"}
	case l.signalled:
		return &stop{Terminated, unlabelled, "ended after a signal"}
	case l.touched:
		return &stop{Recovered, unlabelled, "ended, and nobody had sent it a signal"}
	}
	return &stop{Aborted, LabelGone, "ended before anything was done"}
}

// await gives the victims time after a step: to end after a signal, to close their sockets after
// anything else.
func (l *ladder) await(ctx context.Context, step *Step) *stop {
	wait := l.policy.config.Interval
	if step.Kind == StepSignal {
		wait = step.Wait
	}
	started := time.Now()
	enough, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for i := range l.victims {
		if err := l.victims[i].Wait(enough); err != nil && enough.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			return &stop{Aborted, unlabelled, err.Error()}
		}
	}
	if ctx.Err() != nil {
		return aborted(ctx)
	}
	living, err := l.living()
	switch took := time.Since(started); {
	case err != nil:
		return &stop{Aborted, unlabelled, err.Error()}
	case len(living) == 0:
		return l.ended()
	case took > wait+l.policy.gapAfter():
		return &stop{Aborted, LabelGap, fmt.Sprintf("a wait of %s took %s: the reaper, or the host, stood still, and the process may have had no time", wait, took)}
	case step.kills() && l.sentKill:
		return &stop{Unkillable, unlabelled, fmt.Sprintf("process %d does not end %s after KILL: the kernel does not let go of it", living[0].process.ID.PID, wait)}
	}
	return nil
}

func aborted(ctx context.Context) *stop {
	return &stop{Aborted, unlabelled, fmt.Sprintf("the reaper ends: %v", context.Cause(ctx))}
}

// holds tells whether one of the victims is among the holders.
func (l *ladder) holds(holders []closewait.ProcessID) bool {
	return slices.ContainsFunc(l.victims, func(v victim) bool { return !v.exited && slices.Contains(holders, v.process.ID) })
}
