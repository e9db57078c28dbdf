package reaper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// closeLook bounds the time between a View and the step that rests on it. To find all holders takes
// seconds on a host with a million descriptors.
const closeLook = 30 * time.Second

// check makes sure that the reason for the next step is still there, and returns the evidence. After
// the last step, next is nil.
func (l *ladder) check(ctx context.Context, next *Step) ([]*closewait.Socket, *stop) {
	for {
		living, err := l.living()
		switch {
		case err != nil:
			return nil, &stop{Aborted, unlabelled, err.Error()}
		case len(living) == 0:
			return nil, l.ended()
		}
		evidence, s, err := l.examine(ctx, living[0], next)
		switch {
		case errors.Is(err, closewait.ErrGone) && l.lost(living[0]):
			continue
		case ctx.Err() != nil:
			return nil, aborted(ctx)
		case err != nil:
			return nil, &stop{Aborted, LabelIncompleteScan, err.Error()}
		}
		return evidence, s
	}
}

// lost tells whether a victim has ended since it was counted among the living.
func (l *ladder) lost(v *victim) bool {
	exited, err := v.Exited()
	v.exited = exited
	return exited && err == nil
}

// examine asks anew what led to the decision: in a fresh View, and of the process itself.
func (l *ladder) examine(ctx context.Context, v *victim, next *Step) ([]*closewait.Socket, *stop, error) {
	view, err := l.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	process, err := v.Describe()
	if err != nil {
		return nil, nil, err
	}
	w := l.policy.recheck(view, l.state, l.Decision, &process)
	if w.label != unlabelled {
		return nil, &stop{Aborted, w.label, w.why}, nil
	}
	switch halted, err := v.Halted(); {
	case err != nil:
		return nil, nil, err
	case halted:
		return nil, &stop{Aborted, LabelStopped, "the process is stopped or frozen"}, nil
	}
	f, err := l.find(ctx, v, w)
	if err != nil {
		return nil, nil, err
	}
	if took := time.Since(view.Taken); took > closeLook {
		return nil, &stop{Aborted, LabelGap, fmt.Sprintf("to look closely took %s: nobody knows whether it is still so", took)}, nil
	}
	return f.evidence, l.weigh(f, next), nil
}

// findings are what has become of the evidence of a decision.
type findings struct {
	evidence []*closewait.Socket // as they are now, and still all that made them evidence
	stuck    int                 // cut by an earlier step, and the descriptor is still open
	free     int                 // no victim has a descriptor any more
	foreign  int                 // held by somebody now who is no victim
	changed  int                 // held, but moving again, or not in CLOSE_WAIT any more by itself
	complete bool                // every process of the host could be looked into
}

// find looks afresh for the holders of the evidence, and makes sure of each socket by its cookie.
func (l *ladder) find(ctx context.Context, v *victim, w witnessed) (f findings, err error) {
	holders, err := l.hands.Holders(ctx, l.Evidence)
	if err != nil {
		return f, err
	}
	f.complete = holders.Complete
	var candidates []*closewait.Socket
	for _, s := range l.Evidence {
		// One that was defunct before was not cut. One that was cut can be seen again as defunct, and is
		// evidence then if the rule says so.
		now, seen := w.sockets[s.ID]
		switch of := holders.Of[s.ID]; {
		case !l.holds(of):
			f.free++
		case !seen && l.cut && !s.Defunct:
			f.stuck++
		case now == nil:
			f.changed++
		case !l.among(of, w):
			f.foreign++
		default:
			candidates = append(candidates, now)
		}
	}
	if len(candidates) > 0 {
		f.evidence, err = v.Verify(ctx, candidates)
		f.changed += len(candidates) - len(f.evidence)
	}
	return f, err
}

// among tells whether all holders may be affected by what is done: where the rule ends processes,
// they must be its victims, else members of the group.
func (l *ladder) among(holders []closewait.ProcessID, w witnessed) bool {
	return !slices.ContainsFunc(holders, func(id closewait.ProcessID) bool {
		if l.Rule.ends() {
			return !l.holds([]closewait.ProcessID{id})
		}
		return w.groupOf(id) != l.Group
	})
}

// weigh tells why the next step is not taken. Descriptors of connections that an earlier step has
// ended still leak: only that they are closed is a cure.
func (l *ladder) weigh(f findings, next *Step) *stop {
	wanted := max(l.Rule.When.Sockets, 1)
	free := fmt.Sprintf("%d of %d sockets are free", f.free, len(l.Evidence))
	switch {
	case len(l.Evidence)-f.free < wanted && l.touched:
		return &stop{Recovered, LabelRecovered, free}
	case len(l.Evidence)-f.free < wanted:
		return &stop{Aborted, LabelRecovered, free + ", and nothing was done yet"}
	case len(f.evidence)+f.stuck < wanted:
		return &stop{Aborted, LabelPending, fmt.Sprintf("%s, %d are held by others too, %d have changed", free, f.foreign, f.changed)}
	case !f.complete && next != nil:
		return &stop{Aborted, LabelIncompleteScan, "some process could not be looked into, so nobody knows who else holds the sockets"}
	}
	return nil
}
