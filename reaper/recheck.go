package reaper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/step"
)

// maxCheckTime is the maximum time between a View and the step that is based on it. Finding all
// holders takes seconds on a host with a million descriptors.
const maxCheckTime = 30 * time.Second

// check makes sure that the leak remains before the next step, and returns the evidence. After the
// last step, next is nil.
func (r *remediation) check(ctx context.Context, next step.Step) ([]*closewait.Socket, *stop) {
	for {
		living, err := r.living()
		switch {
		case err != nil:
			return nil, &stop{aborted, "", err.Error()}
		case len(living) == 0:
			return nil, r.allEnded()
		}
		evidence, s, err := r.checkTarget(ctx, living[0], next)
		switch {
		case errors.Is(err, closewait.ErrGone) && living[0].hasExited():
			continue
		case ctx.Err() != nil:
			return nil, shuttingDown(ctx)
		case err != nil:
			return nil, &stop{aborted, policy.LabelIncompleteScan, err.Error()}
		}
		return evidence, s
	}
}

func (t *target) hasExited() bool {
	exited, err := t.Exited()
	t.exited = exited
	return exited && err == nil
}

// checkTarget makes the checks that led to the decision again: in a new View, and of the process
// itself.
func (r *remediation) checkTarget(ctx context.Context, t *target, next step.Step) ([]*closewait.Socket, *stop, error) {
	view, err := r.rescan(ctx)
	if err != nil {
		return nil, nil, err
	}
	process, err := t.Describe()
	if err != nil {
		return nil, nil, err
	}
	again := r.policy.Recheck(view, r.state, r.Decision, &process)
	if again.Label != "" {
		return nil, &stop{aborted, again.Label, again.Why}, nil
	}
	switch halted, err := t.Halted(); {
	case err != nil:
		return nil, nil, err
	case halted:
		return nil, &stop{aborted, condition.LabelStopped, "the process is stopped or frozen"}, nil
	}
	c, err := r.verifyEvidence(ctx, t, again)
	if err != nil {
		return nil, nil, err
	}
	if took := time.Since(view.Taken); took > maxCheckTime {
		return nil, &stop{aborted, policy.LabelGap, fmt.Sprintf("the check before the step took %s, so its result may be out of date", took)}, nil
	}
	return c.evidence, r.stillJustified(c, next), nil
}

// evidenceCheck is the current state of the evidence of a decision. Each socket that is not in
// evidence is counted once.
type evidenceCheck struct {
	evidence []*closewait.Socket // still meets every condition
	stuck    int                 // cut by an earlier step, but the descriptor is still open
	free     int                 // no target has a descriptor of it any more
	foreign  int                 // a process that is no target holds it too
	changed  int                 // held, but with traffic again, or no longer in CLOSE_WAIT without being cut
	complete bool                // every process of the host could be read
}

// verifyEvidence reads the holders of the evidence again, and verifies each socket by its cookie.
func (r *remediation) verifyEvidence(ctx context.Context, t *target, again policy.RecheckResult) (c evidenceCheck, err error) {
	holders, err := r.executor.Holders(ctx, r.Evidence)
	if err != nil {
		return c, err
	}
	c.complete = holders.Complete
	var candidates []*closewait.Socket
	for _, s := range r.Evidence {
		// A socket that was defunct from the start was not cut. One that was cut may be seen again
		// as defunct, and is evidence then if the rule counts defunct sockets.
		now, seen := again.Sockets[s.ID]
		switch of := holders.Of[s.ID]; {
		case !r.anyHolds(of):
			c.free++
		case !seen && r.cut && !s.Defunct:
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

// stillJustified returns why the next step must not be run; nil if it may. Descriptors of
// connections that an earlier step has ended still leak: only closing them is a cure.
func (r *remediation) stillJustified(c evidenceCheck, next step.Step) *stop {
	required := r.Rule.When.MinSockets()
	free := fmt.Sprintf("%d of %d sockets are released", c.free, len(r.Evidence))
	switch {
	case len(r.Evidence)-c.free < required && r.tried:
		return &stop{recovered, policy.LabelRecovered, free}
	case len(r.Evidence)-c.free < required:
		return &stop{aborted, policy.LabelRecovered, free + " before the first step"}
	case len(c.evidence)+c.stuck < required:
		return &stop{aborted, condition.LabelPending, fmt.Sprintf("%s, %d are held by other processes too, %d have changed", free, c.foreign, c.changed)}
	case !c.complete && next != nil:
		return &stop{aborted, policy.LabelIncompleteScan, "some process could not be read, so the sockets may have other holders"}
	}
	return nil
}
