package app

import (
	"context"
	"fmt"
	"os"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel"
	"closewait_exporter/reaper/step"
)

// executor lets the reaper, which knows nothing about Linux, act through package kernel. It only
// translates types and errors.
type executor struct{ *kernel.Hands }

func newExecutor(h *host) (executor, error) {
	hands, err := kernel.NewHands(h.scanner)
	if err != nil {
		return executor{}, fmt.Errorf("--reaper.config: cannot act on processes here: %w", err)
	}
	return executor{hands}, nil
}

// Open implements step.Executor.
func (e executor) Open(id closewait.ProcessID) (step.ProcessHandle, error) {
	handle, err := e.Grab(id)
	if err != nil {
		return nil, err
	}
	return processHandle{handle}, nil
}

// RunGuard implements step.Executor.
func (e executor) RunGuard(ctx context.Context, g closewait.Guard) (output string, err error) {
	return e.Run(ctx, g)
}

// rights returns what cannot be done to processes of other users, and why. Only raise_nofile is
// checked for the own user: a remediation that is refused it ends before any other step.
func (e executor) rights() step.Rights {
	const anyOtherUser = ^uint32(0) // no user has this id (setresuid(2))
	r := e.Rights(anyOtherUser)
	return step.Rights{
		RaiseNoFile: e.Rights(uint32(os.Geteuid())).RaiseNoFile,
		Destroy:     r.Destroy,
		Shutdown:    r.Shutdown,
		ThreadDump:  r.ThreadDump,
		Signal:      r.Signal,
		Holders:     r.Holders,
		RunGuard:    e.CanRun,
	}
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

// processHandle implements step.ProcessHandle.
type processHandle struct{ *kernel.Grip }

func (p processHandle) Halted() (bool, error) {
	state, err := p.State()
	return state.Halted(), err
}

func (p processHandle) RaiseNoFile(to uint64) (before, after uint64, err error) {
	b, a, err := p.Grip.RaiseNoFile(to)
	return b.Soft, a.Soft, err
}
