package main

import (
	"context"
	"os"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	"closewait_exporter/reaper/step"
)

// hands let the reaper, which knows nothing of Linux, act by those of package kernel: they translate
// types and errors, and decide nothing.
type hands struct{ *kernel.Hands }

// Open implements step.Executor.
func (h hands) Open(id closewait.ProcessID) (step.ProcessHandle, error) {
	grip, err := h.Grab(id)
	if err != nil {
		return nil, err
	}
	return victim{grip}, nil
}

// RunGuard implements step.Executor.
func (h hands) RunGuard(ctx context.Context, g closewait.Guard) (output string, err error) {
	return h.Run(ctx, g)
}

// rights returns what cannot be done to the processes of any user, and why. Only a limit need be
// raised for processes of the own user alone: if that is refused, the remediation ends before
// anything was changed.
func (h hands) rights() step.Rights {
	const anyOtherUser = ^uint32(0) // no user has this id (setresuid(2))
	r := h.Rights(anyOtherUser)
	return step.Rights{
		RaiseNoFile: h.Rights(uint32(os.Geteuid())).RaiseNoFile, Destroy: r.Destroy, Shutdown: r.Shutdown, ThreadDump: r.ThreadDump, Signal: r.Signal,
		Holders: r.Holders, RunGuard: h.CanRun,
	}
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
