package reaper

import (
	"context"

	"closewait_exporter/closewait"
)

// DryHands look with the eyes of others, and touch nothing.
type DryHands struct {
	Grabber
	Finder
}

// Run allows everything.
func (DryHands) Run(context.Context, Guard) (string, error) { return "", nil }

// Grab takes hold of a process to which nothing can be done.
func (h DryHands) Grab(id closewait.ProcessID) (Victim, error) {
	v, err := h.Grabber.Grab(id)
	if err != nil {
		return nil, err
	}
	return dryVictim{Mortal: v, Witness: v, release: v.Close}, nil
}

// dryVictim can be looked at only.
type dryVictim struct {
	Mortal
	Witness
	release func()
}

func (v dryVictim) Close() { v.release() }

// Wait gives a process that was told nothing no time to obey.
func (v dryVictim) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	return v.Mortal.Wait(ctx)
}

func (dryVictim) RaiseNoFile(uint64) (before, after uint64, err error) { return 0, 0, nil }

func (dryVictim) Destroy(context.Context, []*closewait.Socket) (Toll, error) { return Toll{}, nil }

func (dryVictim) Shutdown(context.Context, []*closewait.Socket) (Toll, error) { return Toll{}, nil }

func (dryVictim) ThreadDump(context.Context) error { return nil }

func (dryVictim) Signal(string) error { return nil }
