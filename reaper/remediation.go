package reaper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-kit/log"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// remediation carries out one decision: the steps of the rule in order, each only while the leak
// remains.
type remediation struct {
	*policy.Decision
	policy   *policy.Policy                        // of the decision
	inForce  func() (*policy.Policy, policy.State) // now
	gate     gate
	executor step.Executor
	observe  func(context.Context) (*closewait.View, error)
	command  func(context.Context, *closewait.Process) (string, error)
	fdGrowth func(closewait.ProcessID) closewait.Growth
	// supervision returns who starts a process again. It returns in bounded time.
	supervision func(context.Context, *closewait.Process) closewait.Supervision
	audit       AuditLog
	metrics     *metrics
	history     *history
	logger      log.Logger

	targets   []target
	results   []StepResult
	wouldRun  []StepRecord // in dry run
	tried     bool         // a remedy was tried
	acted     bool         // a remedy was carried out, or would have been in dry run
	cut       bool         // connections were ended, so leaked sockets may have left their state
	raised    bool         // the limit of descriptors was raised
	signalled bool
	restarted bool // the service of the first target was restarted
	evicted   bool
	sentKill  bool
	checked   *policy.Policy // allows the next step

	evidenceFiles []string
}

// target is an open process.
type target struct {
	step.ProcessHandle
	process *closewait.Process // at the decision
	exited  bool
}

// run runs the steps, and ends with ctx.
func (r *remediation) run(ctx context.Context) outcome {
	defer r.closeTargets()
	s := r.runSteps(ctx)
	if err := r.gate.leave(); err != nil {
		r.log("msg", "Cannot give the slot back, it is free after its hold time", "err", err)
	}
	out := outcome{Result: s.result, label: s.label, reason: s.reason, tried: r.tried}
	if r.dryRun() {
		out.Result = ""
	}
	if r.tried {
		out.sockets, out.fds = r.released()
	}
	r.logEnd(&out)
	return out
}

func (r *remediation) runSteps(ctx context.Context) stop {
	if s := r.gate.enter(ctx); s != nil {
		return *s
	}
	if s := r.openTargets(); s != nil {
		return *s
	}
	if err := r.logStart(); err != nil {
		return stop{aborted, policy.LabelAuditFailed, err.Error()}
	}
	for i, next := range r.Rule.Steps {
		evidence, s := r.check(ctx, i)
		if s == nil {
			s = r.gate.stay(ctx, i)
		}
		if s == nil {
			s = r.apply(ctx, next, evidence)
		}
		if s == nil && !next.Traits().Observes {
			s = r.await(ctx, next)
		}
		if s != nil {
			return *s
		}
		if r.dryRun() && next.Traits().Kills {
			break // no step follows one that always ends the process
		}
	}
	if r.dryRun() {
		return stop{reason: "dry run: nothing was done"}
	}
	if _, s := r.check(ctx, len(r.Rule.Steps)); s != nil {
		return *s
	}
	return stop{aborted, "", "all steps were run, and the leak remains"}
}

// dryRun reports whether the rule only shows what it would do. Decisions do not depend on it, and
// the executor changes nothing then; it is about what is reported.
func (r *remediation) dryRun() bool { return r.Rule.Mode == rules.DryRun }

// openTargets opens all targets, or none.
func (r *remediation) openTargets() *stop {
	for _, p := range r.TargetProcesses() {
		h, err := r.executor.Open(p.ID)
		switch {
		case errors.Is(err, closewait.ErrGone):
			return &stop{aborted, policy.LabelGone, err.Error()}
		case err != nil:
			return &stop{aborted, "", fmt.Sprintf("open process %d: %v", p.ID.PID, err)}
		}
		r.targets = append(r.targets, target{ProcessHandle: h, process: p})
	}
	return nil
}

func (r *remediation) closeTargets() {
	for _, t := range r.targets {
		t.Close()
	}
}

// living returns the targets that have not ended.
func (r *remediation) living() ([]*target, error) {
	var living []*target
	for i := range r.targets {
		t := &r.targets[i]
		if !t.exited {
			exited, err := t.Exited()
			if err != nil {
				return nil, err
			}
			t.exited = exited
		}
		if !t.exited {
			living = append(living, t)
		}
	}
	return living, nil
}

// allEnded is why the remediation stops when no target lives.
func (r *remediation) allEnded() *stop {
	switch {
	case r.restarted:
		return &stop{restarted, "", "the service was restarted"}
	case r.sentKill:
		return &stop{killed, "", "ended after KILL"}
	case r.evicted:
		return &stop{evicted, "", "ended after its pod was evicted"}
	case r.signalled:
		return &stop{terminated, "", "ended after a signal"}
	case r.tried:
		return &stop{recovered, "", "ended without a signal from the reaper"}
	}
	return &stop{aborted, policy.LabelGone, "ended before the first step"}
}

// await gives the targets time after a step: to end after a signal, to close their sockets after
// any other step.
func (r *remediation) await(ctx context.Context, last step.Step) *stop {
	traits := last.Traits()
	wait := traits.Wait
	if wait == 0 {
		wait = r.policy.Interval()
	}
	started := time.Now()
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for i := range r.targets {
		if err := r.targets[i].Wait(limited); err != nil && limited.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			return &stop{aborted, "", err.Error()}
		}
	}
	if ctx.Err() != nil {
		return shuttingDown(ctx)
	}
	living, err := r.living()
	switch took := time.Since(started); {
	case err != nil:
		return &stop{aborted, "", err.Error()}
	case len(living) == 0:
		return r.allEnded()
	case took > wait+r.policy.MaxGap():
		return &stop{aborted, policy.LabelGap, fmt.Sprintf("a wait of %s took %s: the reaper or the host did not run, so the process may have had no time", wait, took)}
	case traits.Kills && r.sentKill:
		return &stop{unkillable, "", fmt.Sprintf("process %d did not end within %s after KILL: it is blocked in the kernel", living[0].process.ID.PID, wait)}
	}
	return nil
}

func shuttingDown(ctx context.Context) *stop {
	return &stop{aborted, "", fmt.Sprintf("the reaper is shutting down: %v", context.Cause(ctx))}
}

// anyHolds reports whether a living target is among the holders.
func (r *remediation) anyHolds(holders []closewait.ProcessID) bool {
	return slices.ContainsFunc(r.targets, func(t target) bool { return !t.exited && slices.Contains(holders, t.process.ID) })
}
