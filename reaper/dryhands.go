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
func (DryHands) Run(context.Context, closewait.Guard) (string, error) { return "", nil }

// Grab takes hold of a process to which nothing can be done.
func (h DryHands) Grab(id closewait.ProcessID) (Victim, error) {
	v, err := h.Grabber.Grab(id)
	if err != nil {
		return nil, err
	}
	return &dryVictim{Mortal: v, Witness: v, release: v.Close}, nil
}

// dryVictim can be looked at only.
type dryVictim struct {
	Mortal
	Witness
	release func()
	killed  bool // would be dead by now
}

func (v *dryVictim) Close() { v.release() }

// Exited takes it that KILL would have been obeyed. No other signal is, so that all steps are seen.
func (v *dryVictim) Exited() (bool, error) {
	if v.killed {
		return true, nil
	}
	return v.Mortal.Exited()
}

// Wait gives no time to a process that was told nothing.
func (v *dryVictim) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	return v.Mortal.Wait(ctx)
}

func (v *dryVictim) Signal(name string) error {
	v.killed = v.killed || name == "KILL"
	return nil
}

func (*dryVictim) RaiseNoFile(uint64) (before, after uint64, err error) { return 0, 0, nil }

func (*dryVictim) Destroy(_ context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	return wouldCut(sockets), nil
}

func (*dryVictim) Shutdown(_ context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	return wouldCut(sockets), nil
}

func wouldCut(sockets []*closewait.Socket) (t closewait.SocketCounts) {
	for _, s := range sockets {
		if s.Defunct {
			t.Defunct++
		} else {
			t.Done++
		}
	}
	return t
}

func (*dryVictim) ThreadDump(context.Context) error { return nil }
