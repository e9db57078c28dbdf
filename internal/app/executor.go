package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"sync"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/action"
	"closewait_exporter/kernel/supervisor"
	"closewait_exporter/kernel/trust"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
	"closewait_exporter/systemd"
)

// askTimeout is the maximum time for a question to the service manager that a command waits for.
const askTimeout = 5 * time.Second

// executor lets the reaper, which knows nothing about Linux, act through package kernel/action.
type executor struct {
	*action.Executor
	*fleet
	units    *systemd.Units
	finder   *supervisor.Finder
	evidence *evidenceWriter // nil without --reaper.evidence-dir
}

func newExecutor(h *host, f *fleet) (executor, error) {
	e, err := action.New(h.proc, h.actions)
	if err != nil {
		return executor{}, fmt.Errorf("--reaper.config: cannot act on processes here: %w", err)
	}
	finder := supervisor.New(h.proc, h.commands, func(ctx context.Context, id closewait.ProcessID) (closewait.Supervision, error) {
		handle, err := e.Open(id)
		if err != nil {
			return closewait.Supervision{}, err
		}
		defer handle.Close()
		return h.units.Supervision(ctx, handle)
	})
	return executor{Executor: e, fleet: f, units: h.units, finder: finder}, nil
}

// Open implements step.Executor.
func (e executor) Open(id closewait.ProcessID) (step.ProcessHandle, error) {
	handle, err := e.Executor.Open(id)
	if err != nil {
		return nil, err // handle is a nil pointer, which in an interface is not nil
	}
	return processHandle{handle, e.units}, nil
}

// processHandle adds what the service manager does to a process.
type processHandle struct {
	*action.ProcessHandle
	units *systemd.Units
}

// Unit implements step.ProcessHandle.
func (h processHandle) Unit(ctx context.Context) (closewait.Unit, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return h.units.Unit(ctx, h.ProcessHandle)
}

// RestartUnit implements step.ProcessHandle.
func (h processHandle) RestartUnit(ctx context.Context, unit closewait.Unit) (closewait.UnitRestart, error) {
	return h.units.Restart(ctx, h.ProcessHandle, unit)
}

// WriteEvidence implements step.Executor. Rules that need a directory are refused without one.
func (e executor) WriteEvidence(ctx context.Context, c closewait.EvidenceCase) (file string, err error) {
	if e.evidence == nil {
		return "", errors.New("there is no directory for evidence: give --reaper.evidence-dir")
	}
	return e.evidence.write(ctx, c)
}

// rights returns why each step cannot be applied to processes of other users. raise_nofile is
// checked for the exporter's own user only: if the kernel refuses it for another user, the
// remediation ends without a harsher step.
func (e executor) rights() step.Rights {
	const anyOtherUser = ^uint32(0) // no user has this id (setresuid(2))
	r := e.Rights(anyOtherUser)
	return step.Rights{
		RaiseNoFile: e.Rights(uint32(os.Geteuid())).RaiseNoFile,
		Destroy:     r.Destroy,
		Shutdown:    r.Shutdown,
		ThreadDump:  r.ThreadDump,
		Signal:      r.Signal,
		RestartUnit: sync.OnceValue(e.reachSystemd), // one question for all rules
		Evict:       e.mayEvict(),
		Holders:     r.Holders,
		RunGuard:    action.CanRun,
	}
}

// reachSystemd returns why the service manager of the host cannot be asked.
func (e executor) reachSystemd() error {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return e.units.Reachable(ctx)
}

// lock acquires the host lock.
func (e executor) lock() (release func(), err error) {
	lock, err := e.Lock()
	if err != nil {
		return nil, err
	}
	return lock.Release, nil
}

// thisHost answers the questions of check-config.
func thisHost() rules.Host {
	return rules.Host{Trusted: trust.Check, CanRun: action.CanRun, Supervision: supervisionOfUnit, HasUser: hasUser}
}

// supervisionOfUnit asks the service manager of this host.
func supervisionOfUnit(unit string) (closewait.Supervision, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	units := systemd.NewUnits()
	defer units.Close()
	return units.SupervisionOfUnit(ctx, unit)
}

// hasUser reports whether a user has that name. If the users cannot be read, it is true.
func hasUser(name string) bool {
	_, err := user.Lookup(name)
	_, unknown := errors.AsType[user.UnknownUserError](err)
	return !unknown
}
