package reaper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/step"
)

// apply runs a step. One that fails stops the remediation: the harsher steps are meant for a step
// without effect, not for a step that could not be carried out.
func (r *remediation) apply(ctx context.Context, s step.Step, evidence []*closewait.Socket) *stop {
	if ctx.Err() != nil {
		return shuttingDown(ctx)
	}
	targets, err := r.living()
	if err != nil {
		return &stop{aborted, "", err.Error()}
	}
	if s.Traits().AppliesOnce {
		targets = targets[:min(1, len(targets))]
	}
	for _, t := range targets {
		if stopped := r.applyTo(ctx, s, t, evidence); stopped != nil {
			return stopped
		}
	}
	return nil
}

// applyTo applies a step to one process.
func (r *remediation) applyTo(ctx context.Context, s step.Step, t *target, evidence []*closewait.Socket) *stop {
	if now, _ := r.inForce(); !now.SameRules(r.checked) {
		return &stop{aborted, policy.LabelSuperseded, "the rules were reloaded just before the step"}
	}
	result := StepResult{StepRecord: StepRecord{Step: s.String(), Target: t.process.ID.PID}}
	if stopped := r.logStep(result.StepRecord); stopped != nil {
		return stopped
	}
	observes := s.Traits().Observes
	r.tried = r.tried || !observes && !r.dryRun()
	started := time.Now()
	done, err := s.Apply(ctx, &step.Target{
		Process: t, Evidence: evidence, Executor: r.executor, HasSlots: r.checked.Fleet().Slots != nil,
		Guard:        func() (closewait.Guard, error) { return r.guard(t) },
		Case:         func() (closewait.EvidenceCase, error) { return r.evidenceCase(t) },
		ProtectsUnit: func(name string) string { rules, _ := r.inForce(); return rules.ProtectsUnit(name) },
	})
	result.Took = time.Since(started).Seconds()
	if observes {
		r.observed(s, result, done, err)
		return nil
	}
	if r.dryRun() {
		return r.wouldHaveRun(ctx, s, result.StepRecord, err)
	}
	r.cut = r.cut || done.Cut
	r.raised = r.raised || done.Raised
	r.signalled = r.signalled || done.Signalled
	r.restarted = r.restarted || done.Restarted
	r.evicted = r.evicted || done.Evicted
	r.sentKill = r.sentKill || done.Signalled && s.Traits().Kills
	gone := errors.Is(err, closewait.ErrGone)
	if gone {
		done.Detail, err = "the process had ended", nil
	}
	result.Detail = done.Detail
	result.Arguments, result.Output = done.Arguments, done.Output
	r.logResult(s, result, err)
	r.acted = r.acted || err == nil && !gone && !done.Idle || done.Cut || done.Signalled || done.Begun || done.Evicted
	switch {
	case done.Down:
		return &stop{down, "", done.Detail}
	case err != nil:
		return failed(ctx, s, err)
	}
	return nil
}

// wouldHaveRun notes a step of a rule in dry run. It has no result: err is about reading the
// process.
func (r *remediation) wouldHaveRun(ctx context.Context, s step.Step, record StepRecord, err error) *stop {
	if err != nil && !errors.Is(err, closewait.ErrGone) {
		return failed(ctx, s, err)
	}
	r.acted = true
	r.wouldRun = append(r.wouldRun, record)
	r.logDryRun(s, record)
	return nil
}

// guard describes the remediation to a guard.
func (r *remediation) guard(t *target) (closewait.Guard, error) {
	evidence, err := json.Marshal(newDecisionRecord(r.Decision, time.Now(), len(r.Evidence)))
	return closewait.Guard{
		PID: t.process.ID.PID, Rule: r.Rule.Name, Group: r.Group,
		Evidence: evidence, Env: map[string]string{"ID": r.ID(), "SOCKETS": strconv.Itoa(len(r.Evidence))},
	}, err
}

// failed is why a step that failed stops the remediation.
func failed(ctx context.Context, s step.Step, err error) *stop {
	switch {
	case ctx.Err() != nil:
		return shuttingDown(ctx)
	case errors.Is(err, closewait.ErrGuardDenied):
		return &stop{aborted, policy.LabelGuardDenied, err.Error()}
	case errors.Is(err, closewait.ErrRefused):
		return &stop{aborted, policy.LabelRefused, err.Error()}
	case errors.Is(err, closewait.ErrUnitBusy) || errors.Is(err, closewait.ErrTerminating):
		return &stop{aborted, condition.LabelInProgress, err.Error()}
	case errors.Is(err, closewait.ErrGuardFailed):
		return &stop{aborted, policy.LabelGuardFailed, err.Error()}
	case errors.Is(err, closewait.ErrDisruptionBudget):
		return &stop{aborted, policy.LabelPDB, err.Error()}
	case errors.Is(err, closewait.ErrCluster):
		return &stop{aborted, policy.LabelClusterFailed, err.Error()}
	}
	return &stop{aborted, "", fmt.Sprintf("%s: %v", s, err)}
}
