package action

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// Destroy resets connections by SOCK_DESTROY: the peer gets a RST, and threads that wait for the
// socket wake up with an error. The descriptor stays open until the program closes it. Destroy
// affects only sockets that are still in the same state with the same cookie, in any network
// namespace; it skips sockets that have no connection any more, and fails for those of MPTCP. It
// needs CAP_NET_ADMIN in the namespace, and a kernel with CONFIG_INET_DIAG_DESTROY.
func (h *ProcessHandle) Destroy(ctx context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	counts, err := host.CallWithTimeout(ctx, h.executor.longCalls, func(ctx context.Context) (closewait.SocketCounts, error) {
		return h.destroy(ctx, sockets)
	})
	if err != nil {
		return counts, fmt.Errorf("destroy sockets of process %d: %w", h.id.PID, err)
	}
	return counts, nil
}

func (h *ProcessHandle) destroy(ctx context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	var counts socketCounts
	if err := h.requireAlive(); err != nil {
		return counts.SocketCounts, err
	}
	for ns, group := range byNamespace(counts.skipClosed(sockets)) {
		err := h.executor.host.InNamespace(ctx, ns, func() error { return counts.destroy(ctx, group) })
		switch {
		case errors.Is(err, unix.ESRCH):
			counts.Gone += len(group)
		case err != nil:
			return counts.SocketCounts, err
		}
	}
	return counts.SocketCounts, counts.failure
}

var errMPTCPNotDestroyed = errors.New("the kernel destroys no MPTCP connection: use the step shutdown")

// destroy destroys sockets in the network namespace of the current thread. It reads them again
// first, because the request must name the interface that a socket is bound to.
func (c *socketCounts) destroy(ctx context.Context, sockets []*closewait.Socket) error {
	rows, err := tableRows(ctx, sockets)
	if err != nil {
		return err
	}
	conn, err := sockdiag.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, s := range sockets {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		row, found := rows[s]
		switch {
		case !found:
			c.Gone++
		case row.MPTCP:
			c.count(errMPTCPNotDestroyed, false)
		default:
			err := conn.Destroy(&row)
			c.count(err, errors.Is(err, unix.ENOENT))
		}
	}
	return nil
}
