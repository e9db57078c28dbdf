package kernel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/sockdiag"
)

// Destroy resets connections by SOCK_DESTROY: the peer gets a RST, and whoever waits for the socket
// wakes up with an error. The descriptor stays until the program closes it. Only sockets that
// are still in CLOSE_WAIT with the same cookie are touched, in whichever namespace they are; those
// given as defunct are skipped. It needs CAP_NET_ADMIN there, and a kernel with CONFIG_INET_DIAG_DESTROY.
func (g *Grip) Destroy(ctx context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	counts, err := patiently(ctx, g.hands.long, func(ctx context.Context) (closewait.SocketCounts, error) {
		var counts socketCounts
		if err := g.alive(); err != nil {
			return counts.SocketCounts, err
		}
		for ns, group := range byNamespace(counts.skipDefunct(sockets)) {
			err := g.hands.host.InNamespace(ctx, ns, func() error { return counts.destroy(ctx, group) })
			switch {
			case errors.Is(err, unix.ESRCH):
				counts.Gone += len(group)
			case err != nil:
				return counts.SocketCounts, err
			}
		}
		return counts.SocketCounts, counts.failure
	})
	if err != nil {
		return counts, fmt.Errorf("destroy sockets of process %d: %w", g.id.PID, err)
	}
	return counts, nil
}

// destroy destroys sockets in the network namespace of the current thread. A fresh dump tells to
// which interface a socket is bound, without which the kernel does not find it, and its cookie.
func (t *socketCounts) destroy(ctx context.Context, sockets []*closewait.Socket) error {
	rows, err := rowsOf(ctx, sockets)
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
		if !found {
			t.Gone++
			continue
		}
		err := conn.Destroy(&row)
		t.count(err, errors.Is(err, unix.ENOENT))
	}
	return nil
}
