package app

import (
	"errors"
	"fmt"
	"os"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	"closewait_exporter/reaper"
)

// executor lets the reaper, which knows nothing about Linux, act through package kernel. It only
// translates types and errors.
type executor struct{ *kernel.Hands }

func newExecutor(h *host) (executor, error) {
	hands, err := kernel.NewHands(h.proc, h.actions)
	if err != nil {
		return executor{}, fmt.Errorf("--reaper.config: cannot act on processes here: %w", err)
	}
	return executor{hands}, nil
}

// Grab implements reaper.Grabber.
func (e executor) Grab(id closewait.ProcessID) (reaper.Victim, error) {
	grip, err := e.Hands.Grab(id)
	if err != nil {
		return nil, err
	}
	return processHandle{grip}, nil
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

// boot identifies the current run of the host for the state file.
func (e executor) boot() (closewait.Boot, error) {
	id, err := e.BootID()
	if err != nil {
		return closewait.Boot{}, err
	}
	uptime, err := e.Uptime()
	return closewait.Boot{ID: id, Uptime: uptime}, err
}

// lock acquires the host lock.
func (e executor) lock() (release func(), err error) {
	lock, err := e.Claim()
	if err != nil {
		return nil, err
	}
	return lock.Release, nil
}

// processHandle implements reaper.Victim.
type processHandle struct{ *kernel.Grip }

func (p processHandle) Halted() (bool, error) {
	state, err := p.State()
	return state.Halted(), err
}

func (p processHandle) RaiseNoFile(to uint64) (before, after uint64, err error) {
	b, a, err := p.Grip.RaiseNoFile(to)
	return b.Soft, a.Soft, err
}
