package action

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Shutdown ends connections as the program should have done: the peer gets a FIN, and threads that
// wait for the socket read the end of the stream. The descriptor stays open until the program
// closes it. Shutdown affects only sockets that are still in the same state with the same cookie;
// it skips sockets that have no connection any more. It needs pidfd_getfd(2): CAP_SYS_PTRACE and
// Linux 5.6.
func (h *ProcessHandle) Shutdown(ctx context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	counts, err := host.CallWithTimeout(ctx, h.executor.longCalls, func(ctx context.Context) (closewait.SocketCounts, error) {
		return h.shutdown(ctx, sockets)
	})
	if err != nil {
		return counts, fmt.Errorf("shut down sockets of process %d: %w", h.id.PID, err)
	}
	return counts, nil
}

func (h *ProcessHandle) shutdown(ctx context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	var counts socketCounts
	sockets = counts.skipClosed(sockets)
	held, err := h.socketFDs(ctx, sockets)
	if err != nil {
		return counts.SocketCounts, err
	}
	for _, s := range sockets {
		d, holds := held[s.Inode]
		if !holds {
			counts.Gone++
			continue
		}
		err := h.withDuplicate(d, func(fd int) error {
			if err := identify(fd, s); err != nil {
				return err
			}
			if ctx.Err() != nil { // the call was blocked, and the caller has returned without it
				return context.Cause(ctx)
			}
			return unix.Shutdown(fd, unix.SHUT_RDWR)
		})
		counts.count(err, socketChanged(err) || errors.Is(err, unix.ENOTCONN))
	}
	return counts.SocketCounts, counts.failure
}
