package reaper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
)

// maxCheckTime is the maximum time between a View and the step that is based on it. Finding all
// holders takes seconds on a host with a million descriptors.
const maxCheckTime = 30 * time.Second

// maxChecks is how often a step is checked again because the rules were reloaded meanwhile.
const maxChecks = 3

// check makes sure that the leak remains, and that the rules in force allow the step with that
// index. It returns the evidence. After the last step only the leak matters.
func (r *remediation) check(ctx context.Context, step int) ([]*closewait.Socket, *stop) {
	for checks := 0; ; {
		living, err := r.living()
		switch {
		case err != nil:
			return nil, &stop{aborted, "", err.Error()}
		case len(living) == 0:
			return nil, r.allEnded()
		}
		rules, state := r.inForce()
		if step == len(r.Rule.Steps) {
			rules = r.policy
		}
		evidence, s, err := r.checkTargets(ctx, living, step, rules, state)
		switch {
		case errors.Is(err, closewait.ErrGone) && anyExited(living):
			continue
		case ctx.Err() != nil:
			return nil, shuttingDown(ctx)
		case err != nil:
			return nil, &stop{aborted, policy.LabelIncompleteScan, err.Error()}
		}
		r.checked = rules
		if now, _ := r.inForce(); s != nil || step == len(r.Rule.Steps) || now.SameRules(rules) {
			return evidence, s
		}
		if checks++; checks == maxChecks {
			return nil, &stop{aborted, policy.LabelSuperseded, "the rules were reloaded at each check before the step"}
		}
	}
}

func anyExited(targets []*target) bool {
	found := false
	for _, t := range targets {
		exited, err := t.Exited()
		t.exited = exited && err == nil
		found = found || t.exited
	}
	return found
}

// checkTargets makes the checks that led to the decision again: in a new View, and of the processes
// themselves.
func (r *remediation) checkTargets(ctx context.Context, living []*target, step int, rules *policy.Policy, state policy.State) ([]*closewait.Socket, *stop, error) {
	view, err := r.rescan(ctx)
	if err != nil {
		return nil, nil, err
	}
	facts := make([]policy.TargetFacts, len(living))
	for i, t := range living {
		if facts[i], err = r.factsOf(ctx, t, rules.NeedsFDGrowth()); err != nil {
			return nil, nil, err
		}
		if len(living) == len(r.targets) && step < len(r.Rule.Steps) {
			facts[i].Supervision = func() closewait.Supervision { return r.supervision(ctx, &facts[i].Process) }
		}
	}
	holders, err := r.executor.Holders(ctx, r.Evidence)
	if err != nil {
		return nil, nil, err
	}
	if r.cut {
		facts[0].Cut = slices.DeleteFunc(slices.Clone(r.Evidence), func(s *closewait.Socket) bool {
			return !s.State.Listed() || !r.anyHolds(holders.Of[s.ID])
		})
	}
	if s := r.cured(holders); s != nil {
		return nil, s, nil
	}
	again := rules.Recheck(view, state, r.Decision, step, facts)
	if again.Label != "" {
		return nil, &stop{aborted, again.Label, again.Why}, nil
	}
	c, err := r.verifyEvidence(ctx, living[0], holders, again)
	if err != nil {
		return nil, nil, err
	}
	if took := time.Since(view.Taken); took > maxCheckTime {
		return nil, &stop{aborted, policy.LabelGap, fmt.Sprintf("the check before the step took %s, so its result may be out of date", took)}, nil
	}
	return c.evidence, r.stillJustified(c, again.Minimum, step < len(r.Rule.Steps)), nil
}

// factsOf reads the current facts of a target. A higher limit of descriptors that an earlier step
// has set does not make the process healthy, so the limit before the step still counts. fdGrowth
// says whether some rule asks how fast the descriptors grow.
func (r *remediation) factsOf(ctx context.Context, t *target, fdGrowth bool) (f policy.TargetFacts, err error) {
	if f.Process, err = t.Describe(); err != nil {
		return f, err
	}
	if f.Activity, err = t.Activity(); err != nil {
		return f, err
	}
	if before := t.process.MaxFDs; r.raised && before > 0 {
		f.Process.MaxFDs = min(f.Process.MaxFDs, before)
	}
	if fdGrowth {
		f.FDGrowth = r.fdGrowth(t.process.ID)
	}
	process := f.Process
	f.Command = sync.OnceValues(func() (string, error) { return r.command(ctx, &process) })
	return f, nil
}

// evidenceCheck is the current state of the evidence of a decision. Each socket that is not in
// evidence is counted once.
type evidenceCheck struct {
	evidence []*closewait.Socket // still meets every condition
	stuck    int                 // cut by an earlier step, but the descriptor is still open
	free     int                 // no target has a descriptor of it any more
	foreign  int                 // a process that is no target holds it too
	changed  int                 // held, but with traffic again, or in another state without being cut
	complete bool                // every process of the host could be read
}

// verifyEvidence compares the evidence with its current holders, and verifies each socket by its
// cookie.
func (r *remediation) verifyEvidence(ctx context.Context, t *target, holders closewait.HolderLookup, again policy.RecheckResult) (c evidenceCheck, err error) {
	c.complete = holders.Complete
	var candidates []*closewait.Socket
	for _, s := range r.Evidence {
		// A socket that was closed from the start was not cut. One that was cut may be seen again
		// as closed, and is evidence then if the rule counts closed sockets.
		now, seen := again.Sockets[s.ID]
		switch of := holders.Of[s.ID]; {
		case !r.anyHolds(of):
			c.free++
		case !seen && r.cut && s.State.Listed():
			c.stuck++
		case now == nil:
			c.changed++
		case !r.allAffected(of, again):
			c.foreign++
		default:
			candidates = append(candidates, now)
		}
	}
	if len(candidates) > 0 {
		c.evidence, err = t.Verify(ctx, candidates)
		c.changed += len(candidates) - len(c.evidence)
	}
	return c, err
}

// allAffected reports whether the rule may affect all holders: if it ends processes they must be
// its targets, otherwise members of the group.
func (r *remediation) allAffected(holders []closewait.ProcessID, again policy.RecheckResult) bool {
	ends := r.Rule.EndsProcess()
	return !slices.ContainsFunc(holders, func(id closewait.ProcessID) bool {
		if ends {
			return !r.anyHolds([]closewait.ProcessID{id})
		}
		return again.GroupOf(id) != r.Group
	})
}

// cured ends the remediation if the leak is gone; nil if it is not. Descriptors of connections that
// an earlier step has ended still leak: only closing them is a cure. It comes before the conditions
// of the rule, which hold no more after a cure: the process has enough descriptors again.
func (r *remediation) cured(holders closewait.HolderLookup) *stop {
	leaked := 0
	for _, s := range r.Evidence {
		if r.anyHolds(holders.Of[s.ID]) {
			leaked++
		}
	}
	free := fmt.Sprintf("%d of %d sockets are released", len(r.Evidence)-leaked, len(r.Evidence))
	switch {
	case leaked >= r.Rule.When.MinSockets():
		return nil
	case r.tried:
		return &stop{recovered, policy.LabelRecovered, free}
	}
	return &stop{aborted, policy.LabelRecovered, free + " before the first step"}
}

// stillJustified returns why the next step must not be run; nil if it may. minimum is the number of
// sockets that the rules in force require; more says whether a step follows.
func (r *remediation) stillJustified(c evidenceCheck, minimum int, more bool) *stop {
	free := fmt.Sprintf("%d of %d sockets are released", c.free, len(r.Evidence))
	switch {
	case len(c.evidence)+c.stuck < minimum:
		return &stop{aborted, condition.LabelPending, fmt.Sprintf("%s, %d are held by other processes too, %d have changed", free, c.foreign, c.changed)}
	case !c.complete && more:
		return &stop{aborted, policy.LabelIncompleteScan, "some process could not be read, so the sockets may have other holders"}
	}
	return nil
}
