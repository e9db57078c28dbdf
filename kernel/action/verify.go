package action

import (
	"context"
	"fmt"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Verify returns the sockets that the process still holds in the state in which they are given. It
// checks a duplicate of each descriptor. Where duplicates are denied, it
// reads the tables of the network namespace and /proc/PID/fd again. Unaccepted sockets have no
// holder and are never returned.
func (h *ProcessHandle) Verify(ctx context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	still, err := host.CallWithTimeout(ctx, h.executor.longCalls, func(ctx context.Context) ([]*closewait.Socket, error) {
		return h.verify(ctx, sockets)
	})
	if err == nil {
		err = h.requireAlive()
	}
	if err != nil {
		return nil, fmt.Errorf("verify the sockets of process %d: %w", h.id.PID, err)
	}
	return still, nil
}

func (h *ProcessHandle) verify(ctx context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	held, err := h.socketFDs(ctx, sockets)
	if err != nil {
		return nil, err
	}
	still := make([]*closewait.Socket, 0, len(sockets))
	var undecided []*closewait.Socket
	for _, s := range sockets {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		d, holds := held[s.Inode]
		if !holds {
			continue
		}
		switch err := h.withDuplicate(d, func(fd int) error { return identify(fd, s) }); {
		case err == nil:
			still = append(still, s)
		case !socketChanged(err):
			undecided = append(undecided, s)
		}
	}
	if len(undecided) == 0 {
		return still, nil
	}
	verified, err := h.verifyByTables(ctx, undecided)
	return append(still, verified...), err
}

// verifyByTables verifies sockets that the process held a moment ago. Neither a closed socket nor
// a socket whose descriptor was closed since is in a table, so the descriptors of the process are
// read once more.
func (h *ProcessHandle) verifyByTables(ctx context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	listed, closed := splitListed(sockets)
	still, err := h.executor.inTables(ctx, listed)
	if err != nil || len(closed) == 0 {
		return still, err
	}
	absent, err := h.executor.absentFromTables(ctx, closed)
	if err != nil {
		return nil, err
	}
	held, err := h.socketFDs(ctx, absent)
	if err != nil {
		return nil, err
	}
	for _, s := range absent {
		if _, holds := held[s.Inode]; holds {
			still = append(still, s)
		}
	}
	return still, nil
}

// splitListed separates sockets that the TCP tables list from those in no table.
func splitListed(sockets []*closewait.Socket) (listed, closed []*closewait.Socket) {
	for _, s := range sockets {
		if s.State.Listed() {
			listed = append(listed, s)
		} else {
			closed = append(closed, s)
		}
	}
	return listed, closed
}
