package main

import (
	"context"
	"errors"
	"fmt"
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
		return nil, translate(err)
	}
	return victim{grip}, nil
}

// Holders implements reaper.Finder.
func (h hands) Holders(ctx context.Context, sockets []*closewait.Socket) (reaper.Holders, error) {
	found, err := h.Hands.Holders(ctx, sockets)
	return reaper.Holders(found), translate(err)
}

// Run implements reaper.Guards.
func (h hands) Run(ctx context.Context, g reaper.Guard) (string, error) {
	output, err := h.Hands.Run(ctx, kernel.Guard(g))
	return output, translate(err)
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
func (h hands) boot() (reaper.Boot, error) {
	id, err := h.BootID()
	if err != nil {
		return reaper.Boot{}, err
	}
	uptime, err := h.Uptime()
	return reaper.Boot{ID: id, Uptime: uptime}, err
}

// claim takes the right to act on this host.
func (h hands) claim() (release func(), err error) {
	c, err := h.Claim()
	if err != nil {
		return nil, err
	}
	return c.Release, nil
}

// victim is a process in the grip of the kernel's hands.
type victim struct{ *kernel.Grip }

func (v victim) Exited() (bool, error) {
	exited, err := v.Grip.Exited()
	return exited, translate(err)
}

func (v victim) Wait(ctx context.Context) error { return translate(v.Grip.Wait(ctx)) }

func (v victim) Describe() (closewait.Process, error) {
	p, err := v.Grip.Describe()
	return p, translate(err)
}

func (v victim) Halted() (bool, error) {
	state, err := v.State()
	return state.Halted(), translate(err)
}

func (v victim) Verify(ctx context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	still, err := v.Grip.Verify(ctx, sockets)
	return still, translate(err)
}

func (v victim) RaiseNoFile(to uint64) (before, after uint64, err error) {
	b, a, err := v.Grip.RaiseNoFile(to)
	return b.Soft, a.Soft, translate(err)
}

func (v victim) Destroy(ctx context.Context, sockets []*closewait.Socket) (reaper.Toll, error) {
	toll, err := v.Grip.Destroy(ctx, sockets)
	return tollOf(toll), translate(err)
}

func (v victim) Shutdown(ctx context.Context, sockets []*closewait.Socket) (reaper.Toll, error) {
	toll, err := v.Grip.Shutdown(ctx, sockets)
	return tollOf(toll), translate(err)
}

func tollOf(t kernel.Toll) reaper.Toll {
	return reaper.Toll{Done: t.Done, Gone: t.Gone, Defunct: t.Defunct, Failed: t.Failed}
}

func (v victim) Signal(name string) error { return translate(v.Grip.Signal(name)) }

func (v victim) ThreadDump(ctx context.Context) error { return translate(v.Grip.ThreadDump(ctx)) }

// translations of the errors by which the reaper decides.
var translations = map[error]error{
	kernel.ErrGone:        reaper.ErrGone,
	kernel.ErrGuardDenied: reaper.ErrGuardDenied,
	kernel.ErrGuardFailed: reaper.ErrGuardFailed,
}

func translate(err error) error {
	for from, to := range translations {
		if errors.Is(err, from) {
			return fmt.Errorf("%w: %w", to, err)
		}
	}
	return err
}
