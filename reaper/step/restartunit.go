package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

const defaultRestartTimeout = 3 * time.Minute

var restartUnit = Kind{
	Name: "restart_unit",
	Keys: []string{"timeout", "dependents"},
	Read: func(s *document.Section) Step {
		return RestartUnit{
			Timeout:    document.Value(s, "timeout", defaultRestartTimeout, document.ParsePositive),
			Dependents: document.Value(s, "dependents", false, document.ParseBool),
		}
	},
}

// RestartUnit restarts the service of the process, by the service manager of the host.
type RestartUnit struct {
	Timeout    time.Duration // for the service to be active again
	Dependents bool          // units that depend on it may be restarted with it
}

// Kind implements Step.
func (RestartUnit) Kind() string { return restartUnit.Name }

func (r RestartUnit) String() string {
	if r.Dependents {
		return restartUnit.Name + " with dependents"
	}
	return restartUnit.Name
}

// Traits implements Step. The service manager starts the process again, so Signal is empty.
func (RestartUnit) Traits() Traits {
	return Traits{EndsProcess: true, RequestsEnd: true, AppliesOnce: true}
}

// Permitted implements Step. Whether a certain unit may be restarted is not known before.
func (RestartUnit) Permitted(r Rights) error {
	if r.RestartUnit == nil {
		return errors.New("no service manager can be asked")
	}
	return r.RestartUnit()
}

// Apply implements Step. An error is closewait.ErrRefused if the unit must not be restarted, or
// closewait.ErrUnitBusy while it is being started or stopped.
func (r RestartUnit) Apply(ctx context.Context, t *Target) (Result, error) {
	process, err := t.Process.Describe()
	if err != nil {
		return Result{}, err
	}
	if process.Unit == "" || process.Nested != "" {
		return Result{}, fmt.Errorf("%w: process %d belongs to no service of the host, but to %q", closewait.ErrRefused, process.ID.PID, process.Group())
	}
	unit, err := t.Process.Unit(ctx)
	if err != nil {
		return Result{}, err
	}
	if len(unit.Dependents) > 0 && !r.Dependents {
		return Result{}, fmt.Errorf("%w: a restart of %s would also restart %s: say dependents: true in the step to allow that",
			closewait.ErrRefused, unit.Name, strings.Join(unit.Dependents, ", "))
	}
	for _, name := range slices.Concat(unit.Names, unit.Dependents) {
		if why := t.ProtectsUnit(name); why != "" {
			return Result{}, fmt.Errorf("%w: a restart of %s would restart %s: %s", closewait.ErrRefused, unit.Name, name, why)
		}
	}
	limited, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	done, err := t.Process.RestartUnit(limited, unit)
	return Result{Detail: done.Detail, Begun: done.Begun, Restarted: err == nil && done.Begun && !done.Down, Down: done.Down}, err
}
