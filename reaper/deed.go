package reaper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"closewait_exporter/closewait"
)

// do carries out a step. One that fails stops the ladder: the harsher ones were meant for when the
// milder ones were of no avail, not for when they could not be done.
func (l *ladder) do(ctx context.Context, step *Step, evidence []*closewait.Socket) *stop {
	if ctx.Err() != nil {
		return aborted(ctx)
	}
	living, err := l.living()
	if err != nil {
		return &stop{Aborted, unlabelled, err.Error()}
	}
	for _, v := range l.targets(step, living) {
		if s := l.take(ctx, step, v, evidence); s != nil {
			return s
		}
	}
	return nil
}

// take takes a step against one process.
func (l *ladder) take(ctx context.Context, step *Step, v *victim, evidence []*closewait.Socket) *stop {
	receipt := Receipt{Deed: Deed{Step: step.String(), Target: v.process.ID.PID}}
	if s := l.herald(receipt.Deed); s != nil {
		return s
	}
	l.touched = true
	started := time.Now()
	detail, err := l.deed(ctx, step, v, evidence)
	gone := errors.Is(err, closewait.ErrGone)
	if gone {
		detail, err = "the process had ended", nil
	}
	receipt.Detail, receipt.Took = detail, time.Since(started).Seconds()
	l.report(step, receipt, err)
	l.acted = l.acted || err == nil && !gone
	if err != nil {
		return failed(ctx, step, err)
	}
	return nil
}

// targets are the processes that a step is for. Who asks a guard or cuts a connection does so once,
// however many hold it.
func (l *ladder) targets(step *Step, living []*victim) []*victim {
	switch step.Kind {
	case StepRun, StepDestroy, StepShutdown:
		return living[:min(1, len(living))]
	}
	return living
}

// deed does to one process what the step says, and tells what came of it.
func (l *ladder) deed(ctx context.Context, step *Step, v *victim, evidence []*closewait.Socket) (detail string, err error) {
	switch step.Kind {
	case StepRaiseNoFile:
		to := step.Raise.To
		if step.Raise.Hard {
			to = closewait.UnlimitedFDs
		}
		before, after, err := v.RaiseNoFile(to)
		return fmt.Sprintf("limit %d -> %d", before, after), err
	case StepRun:
		return l.ask(ctx, step, v)
	case StepDestroy:
		toll, err := v.Destroy(ctx, evidence)
		return l.tell(toll, err)
	case StepShutdown:
		toll, err := v.Shutdown(ctx, evidence)
		return l.tell(toll, err)
	case StepThreadDump:
		return "", v.ThreadDump(ctx)
	case StepSignal:
		err := v.Signal(step.Signal)
		l.signalled = l.signalled || err == nil
		l.sentKill = l.sentKill || err == nil && step.kills()
		return "", err
	}
	return "", fmt.Errorf("unknown step %q", step.Kind)
}

// tell takes in what became of connections. That some could not be cut is no failure as long as
// others could.
func (l *ladder) tell(t closewait.SocketCounts, err error) (string, error) {
	l.cut = l.cut || t.Done > 0
	if t.Done > 0 {
		err = nil
	}
	return t.String(), err
}

// ask runs a guard.
func (l *ladder) ask(ctx context.Context, step *Step, v *victim) (string, error) {
	evidence, err := json.Marshal(l.record(time.Now(), len(l.Evidence)))
	if err != nil {
		return "", fmt.Errorf("%w: %w", closewait.ErrGuardFailed, err)
	}
	return l.hands.Run(ctx, closewait.Guard{
		Command: step.Command, Timeout: step.Timeout, PID: v.process.ID.PID, Rule: l.Rule.Name, Group: l.Group,
		Evidence: evidence, Env: map[string]string{"ID": l.ID(), "SOCKETS": strconv.Itoa(len(l.Evidence))},
	})
}

// failed is why a step that failed stops the ladder.
func failed(ctx context.Context, step *Step, err error) *stop {
	switch {
	case ctx.Err() != nil:
		return aborted(ctx)
	case errors.Is(err, closewait.ErrGuardDenied):
		return &stop{Aborted, LabelGuardDenied, err.Error()}
	case step.Kind == StepRun:
		return &stop{Aborted, LabelGuardFailed, err.Error()}
	}
	return &stop{Aborted, unlabelled, fmt.Sprintf("%s: %v", step, err)}
}
