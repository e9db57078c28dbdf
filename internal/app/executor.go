package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/action"
	"closewait_exporter/reaper"
)

// executor lets the reaper, which knows nothing about Linux, act through package kernel/action.
type executor struct{ *action.Executor }

func newExecutor(h *host) (executor, error) {
	e, err := action.New(h.proc, h.actions)
	if err != nil {
		return executor{}, fmt.Errorf("--reaper.config: cannot act on processes here: %w", err)
	}
	return executor{e}, nil
}

// Grab implements reaper.Grabber.
func (e executor) Grab(id closewait.ProcessID) (reaper.Victim, error) {
	handle, err := e.Open(id)
	if err != nil {
		return nil, err // handle is a nil pointer, which in an interface is not nil
	}
	return handle, nil
}

// Run implements reaper.Hands.
func (e executor) Run(ctx context.Context, g closewait.Guard) (output string, err error) {
	return e.RunGuard(ctx, g)
}

// permitted returns why a step cannot be carried out on processes of other users. Only
// raise_nofile is checked for the own user: a run that is refused it ends before any other step.
func (e executor) permitted(step *reaper.Step) error {
	const anyOtherUser = ^uint32(0) // no user has this id (setresuid(2))
	rights := e.Rights(anyOtherUser)
	var err error
	switch step.Kind {
	case reaper.StepRaiseNoFile:
		err = e.Rights(uint32(os.Geteuid())).RaiseNoFile
	case reaper.StepRun:
		err = e.CanRun(step.Command)
	case reaper.StepDestroy:
		err = rights.Destroy
	case reaper.StepShutdown:
		err = rights.Shutdown
	case reaper.StepThreadDump:
		err = rights.ThreadDump
	case reaper.StepSignal:
		err = rights.Signal
	}
	return errors.Join(err, rights.Holders)
}

// lock acquires the host lock.
func (e executor) lock() (release func(), err error) {
	lock, err := e.Lock()
	if err != nil {
		return nil, err
	}
	return lock.Release, nil
}
