package systemd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"closewait_exporter/closewait"
)

const (
	pollInterval = 250 * time.Millisecond // between two reads of the state of a unit that is starting
	answerWait   = 10 * time.Second       // for what is asked after a restart has taken all its time
	maxDependent = 64                     // units
)

// Reachable returns why systemd cannot be asked.
func (u *Units) Reachable(ctx context.Context) error {
	_, err := u.connect(ctx)
	return err
}

// Unit returns the service of a process. It fails with closewait.ErrRefused if that must not be
// restarted, and with closewait.ErrUnitBusy while it is being started or stopped.
func (u *Units) Unit(ctx context.Context, p Process) (closewait.Unit, error) {
	b, err := u.connect(ctx)
	if err != nil {
		return closewait.Unit{}, err
	}
	unit, err := readUnit(ctx, b, p)
	if err != nil {
		return unit, fmt.Errorf("unit of process %d: %w", p.ID().PID, err)
	}
	unit.Dependents, err = dependents(ctx, b, unit.Name)
	return unit, err
}

// readUnit returns the service of a process without its dependents.
func readUnit(ctx context.Context, b bus, p Process) (unit closewait.Unit, err error) {
	name, found, err := unitOf(ctx, b, p)
	if err != nil {
		return unit, err
	}
	invocation := hex.EncodeToString(property[[]byte](found, "InvocationID"))
	unit = closewait.Unit{
		Name: found.text("Id"), Names: property[[]string](found, "Names"), Invocation: invocation, Restarts: property[uint32](found, "NRestarts"),
	}
	if why := refusal(name, found); why != "" {
		return unit, fmt.Errorf("%w: %s %s", closewait.ErrRefused, name, why)
	}
	if job, id := property[[]any](found, "Job"), uint32(0); len(job) > 0 {
		if id, _ = job[0].(uint32); id != 0 {
			return unit, fmt.Errorf("%w: %s has the pending job %d", closewait.ErrUnitBusy, name, id)
		}
	}
	if state := found.text("ActiveState"); state != "active" {
		return unit, fmt.Errorf("%w: %s is %s", closewait.ErrUnitBusy, name, state)
	}
	return unit, nil
}

// refusal returns why a unit must not be restarted.
func refusal(name string, p properties) string {
	switch load := p.text("LoadState"); {
	case !strings.HasSuffix(name, serviceSuffix):
		return "is no service"
	case load != "loaded":
		return "is " + load
	case property[bool](p, "RefuseManualStop"), property[bool](p, "RefuseManualStart"):
		return "refuses manual starts or stops"
	case strings.HasPrefix(name, "user@"):
		return "is the service manager of a user, with all services of that user"
	case len(property[[]byte](p, "InvocationID")) == 0:
		return "does not show which start of it this is (InvocationID)"
	}
	return ""
}

// takenAlong are the properties with the units that a restart of a unit restarts too.
var takenAlong = []string{"RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"}

// dependents returns the units that a restart of a unit takes along.
func dependents(ctx context.Context, b bus, unit string) (all []string, err error) {
	seen := map[string]bool{unit: true}
	for next := []string{unit}; len(next) > 0; next = next[1:] {
		p, err := b.properties(ctx, next[0])
		if err != nil {
			return nil, fmt.Errorf("properties of %s: %w", next[0], err)
		}
		for _, kind := range takenAlong {
			for _, name := range property[[]string](p, kind) {
				if !seen[name] {
					seen[name] = true
					all, next = append(all, name), append(next, name)
				}
			}
		}
		if len(all) > maxDependent {
			return nil, fmt.Errorf("%w: a restart of %s takes more than %d units along", closewait.ErrRefused, unit, maxDependent)
		}
	}
	slices.Sort(all)
	return all, nil
}

// Restart restarts the service of a process, if it is still that start of it, and waits until it is
// active again or ctx ends. If the restart takes the service down, it is started once.
//
// TryRestartUnit starts no unit that somebody has stopped meanwhile. The result of a job proves
// nothing: one that had nothing to do is done too. So only another InvocationID counts.
func (u *Units) Restart(ctx context.Context, p Process, unit closewait.Unit) (done closewait.UnitRestart, err error) {
	b, err := u.connect(ctx)
	if err != nil {
		return done, err
	}
	now, err := readUnit(ctx, b, p)
	switch {
	case err != nil:
		return done, err
	case now.Name != unit.Name || now.Invocation != unit.Invocation:
		return done, fmt.Errorf("%s was restarted meanwhile: %w", unit.Name, closewait.ErrGone)
	case now.Restarts != unit.Restarts:
		return done, fmt.Errorf("%w: systemd restarts %s again and again", closewait.ErrUnitBusy, unit.Name)
	}
	// At the limit of its starts the unit would be stopped and not started.
	if err := b.resetFailed(ctx, unit.Name); err != nil {
		return done, fmt.Errorf("reset the start limit of %s: %w", unit.Name, err)
	}
	result, err := b.tryRestart(ctx, unit.Name)
	if err != nil && !errors.Is(err, errJobRuns) {
		return done, fmt.Errorf("restart %s: %w", unit.Name, err)
	}
	r := restart{bus: b, unit: unit, first: result}
	return r.finish(ctx)
}

// restart is a restart that systemd was told to make.
type restart struct {
	bus     bus
	unit    closewait.Unit
	first   string // the result of its job; empty if there was none in time
	started bool   // a start was tried after it
}

// finish waits until the unit is active again, and starts it once if it is down.
func (r *restart) finish(ctx context.Context) (closewait.UnitRestart, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		p, err := r.ask(ctx)
		if err != nil {
			return closewait.UnitRestart{Begun: true}, err
		}
		state := p.text("ActiveState")
		again := hex.EncodeToString(property[[]byte](p, "InvocationID")) != r.unit.Invocation
		switch {
		case state == "active" && again:
			return closewait.UnitRestart{Begun: true, Detail: r.detail(p)}, nil
		case state == "active" && r.first != "":
			return closewait.UnitRestart{Begun: true}, fmt.Errorf("%s was not restarted, the result of the job is %s", r.unit.Name, r.first)
		case errors.Is(ctx.Err(), context.Canceled):
			return closewait.UnitRestart{Begun: true}, ctx.Err()
		case state == "active" && ctx.Err() != nil: // its job waits for another one
			return closewait.UnitRestart{Begun: true}, fmt.Errorf("%s was not restarted before its time was up", r.unit.Name)
		case ctx.Err() != nil:
			return closewait.UnitRestart{Begun: true, Down: true, Detail: fmt.Sprintf("%s is %s when its time is up", r.unit.Name, state)}, nil
		case state != "inactive" && state != "failed": // on its way
		case r.first == "canceled":
			return closewait.UnitRestart{Begun: true}, fmt.Errorf("somebody has stopped %s meanwhile", r.unit.Name)
		case r.started:
			return closewait.UnitRestart{Begun: true, Down: true, Detail: fmt.Sprintf("%s is %s (%s)", r.unit.Name, state, p.text("Result"))}, nil
		default:
			r.startOnce(ctx)
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// ask reads the properties of the unit, after the end of ctx too.
func (r *restart) ask(ctx context.Context) (properties, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWait)
	defer cancel()
	p, err := r.bus.properties(ctx, r.unit.Name)
	if err != nil {
		return nil, fmt.Errorf("%s was told to restart, and its state is unknown: %w", r.unit.Name, err)
	}
	return p, nil
}

// startOnce starts the unit, which the restart has taken down. Whether that has helped shows in its
// state.
func (r *restart) startOnce(ctx context.Context) {
	r.started = true
	if err := r.bus.resetFailed(ctx, r.unit.Name); err == nil {
		_, _ = r.bus.start(ctx, r.unit.Name)
	}
}

func (r *restart) detail(p properties) string {
	detail := fmt.Sprintf("%s restarted, main process %d", r.unit.Name, property[uint32](p, "MainPID"))
	if r.started {
		detail += ", at the second start"
	}
	return detail
}
