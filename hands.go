package main

import (
	"errors"
	"os"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	"closewait_exporter/reaper"
)

// hands let the reaper, which knows nothing of Linux, act by those of package kernel: they translate
// types and errors, and decide nothing.
type hands struct{ *kernel.Hands }

// Grab implements reaper.Grabber.
func (h hands) Grab(id closewait.ProcessID) (reaper.Victim, error) {
	grip, err := h.Hands.Grab(id)
	if err != nil {
		return nil, err
	}
	return victim{grip}, nil
}

// permitted tells why a step cannot be carried out on the processes of any user. Only a limit may be
// raised for those of the own user alone: where that is refused, the ladder ends before anything
// was done.
func (h hands) permitted(step *reaper.Step) error {
	const anyOtherUser = ^uint32(0) // no user has this id (setresuid(2))
	rights := h.Rights(anyOtherUser)
	var err error
	switch step.Kind {
	case reaper.StepRaiseNoFile:
		err = h.Rights(uint32(os.Geteuid())).RaiseNoFile
	case reaper.StepRun:
		err = h.CanRun(step.Command)
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

// boot tells in which run of the host, and when in it, the state file is read or written.
func (h hands) boot() (closewait.Boot, error) {
	id, err := h.BootID()
	if err != nil {
		return closewait.Boot{}, err
	}
	uptime, err := h.Uptime()
	return closewait.Boot{ID: id, Uptime: uptime}, err
}

// claim takes the right to act on this host.
func (h hands) claim() (release func(), err error) {
	c, err := h.Claim()
	if err != nil {
		return nil, err
	}
	return c.Release, nil
}

// victim is a process handle, as the reaper wants it.
type victim struct{ *kernel.Grip }

func (v victim) Halted() (bool, error) {
	state, err := v.State()
	return state.Halted(), err
}

func (v victim) RaiseNoFile(to uint64) (before, after uint64, err error) {
	b, a, err := v.Grip.RaiseNoFile(to)
	return b.Soft, a.Soft, err
}
