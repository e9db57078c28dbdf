package kernel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// Shutdown ends connections as the program should have done: the peer gets a FIN, and whoever waits
// for the socket reads the end of file. The descriptor stays until the program closes it. Only
// sockets that are still in CLOSE_WAIT with the same cookie are touched; those given as defunct are
// skipped. It needs pidfd_getfd(2): CAP_SYS_PTRACE and Linux 5.6.
func (g *Grip) Shutdown(ctx context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	counts, err := patiently(ctx, g.hands.long, func(ctx context.Context) (closewait.SocketCounts, error) {
		return g.shutdown(ctx, sockets)
	})
	if err != nil {
		return counts, fmt.Errorf("shut down sockets of process %d: %w", g.id.PID, err)
	}
	return counts, nil
}

func (g *Grip) shutdown(ctx context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	var counts socketCounts
	sockets = counts.skipDefunct(sockets)
	held, err := g.socketFDs(ctx, sockets)
	if err != nil {
		return counts.SocketCounts, err
	}
	for _, s := range sockets {
		d, holds := held[s.Inode]
		if !holds {
			counts.Gone++
			continue
		}
		err := g.duplicate(d, func(fd int) error {
			if err := identify(fd, s); err != nil {
				return err
			}
			if ctx.Err() != nil { // the caller has not waited for a call that hung
				return context.Cause(ctx)
			}
			return unix.Shutdown(fd, unix.SHUT_RDWR)
		})
		counts.count(getfdError(err), isOther(err) || errors.Is(err, unix.ENOTCONN))
	}
	return counts.SocketCounts, counts.failure
}

// getfdError says how to mend what makes pidfd_getfd or the check of the duplicate fail.
func getfdError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: pidfd_getfd needs CAP_SYS_PTRACE, and kernel.yama.ptrace_scope below 3", err)
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: pidfd_getfd needs Linux 5.6", err)
	case errors.Is(err, errUnknown):
		return fmt.Errorf("%w: MPTCP is not shut down", err)
	}
	return err
}
