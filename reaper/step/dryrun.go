package step

import (
	"context"

	"closewait_exporter/closewait"
)

// DryRunExecutor reads the host as the Executor in it does, and changes nothing. It does write
// evidence.
type DryRunExecutor struct{ Executor }

// RunGuard allows every next step without running the guard.
func (DryRunExecutor) RunGuard(context.Context, closewait.Guard) (string, error) { return "", nil }

// Evict asks the API server whether it would evict the pod.
func (e DryRunExecutor) Evict(ctx context.Context, eviction closewait.Eviction) (closewait.EvictionResult, error) {
	eviction.DryRun = true
	return e.Executor.Evict(ctx, eviction)
}

// Open returns a handle that can only be read.
func (e DryRunExecutor) Open(id closewait.ProcessID) (ProcessHandle, error) {
	h, err := e.Executor.Open(id)
	if err != nil {
		return nil, err
	}
	return dryRunHandle{handle: h}, nil
}

// dryRunHandle passes on what reads. It embeds nothing, so that no method that acts is passed on.
type dryRunHandle struct{ handle ProcessHandle }

func (h dryRunHandle) Close() { h.handle.Close() }

func (h dryRunHandle) Exited() (bool, error) { return h.handle.Exited() }

// Wait does not wait, since nothing was done.
func (h dryRunHandle) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	return h.handle.Wait(ctx)
}

func (h dryRunHandle) Describe() (closewait.Process, error) { return h.handle.Describe() }

func (h dryRunHandle) Activity() (closewait.Activity, error) { return h.handle.Activity() }

func (h dryRunHandle) Verify(ctx context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	return h.handle.Verify(ctx, sockets)
}

func (dryRunHandle) Signal(string) error { return nil }

func (h dryRunHandle) Unit(ctx context.Context) (closewait.Unit, error) { return h.handle.Unit(ctx) }

func (dryRunHandle) RestartUnit(context.Context, closewait.Unit) (closewait.UnitRestart, error) {
	return closewait.UnitRestart{}, nil
}

func (dryRunHandle) RaiseNoFile(uint64) (before, after uint64, err error) { return 0, 0, nil }

func (dryRunHandle) Destroy(context.Context, []*closewait.Socket) (closewait.SocketCounts, error) {
	return closewait.SocketCounts{}, nil
}

func (dryRunHandle) Shutdown(context.Context, []*closewait.Socket) (closewait.SocketCounts, error) {
	return closewait.SocketCounts{}, nil
}

func (dryRunHandle) ThreadDump(context.Context) error { return nil }
