package kernel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// Verify returns those of the sockets that are still held by the process and in CLOSE_WAIT or, where they
// are given as such, defunct: each by a duplicate of its descriptor, and where that is not permitted by a
// fresh look into the tables of its network namespace and into /proc/PID/fd. Sockets that are not
// accepted have no holder.
func (g *Grip) Verify(ctx context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	still, err := patiently(ctx, g.hands.long, func(ctx context.Context) ([]*closewait.Socket, error) {
		return g.verify(ctx, sockets)
	})
	if err == nil {
		err = g.alive()
	}
	if err != nil {
		return nil, fmt.Errorf("verify the sockets of process %d: %w", g.id.PID, err)
	}
	return still, nil
}

func (g *Grip) verify(ctx context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	held, err := g.socketFDs(ctx, sockets)
	if err != nil {
		return nil, err
	}
	still := make([]*closewait.Socket, 0, len(sockets))
	var unsettled []*closewait.Socket
	for _, s := range sockets {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		d, holds := held[s.Inode]
		if !holds {
			continue
		}
		switch err := g.duplicate(d, func(fd int) error { return identify(fd, s) }); {
		case err == nil:
			still = append(still, s)
		case !isOther(err):
			unsettled = append(unsettled, s)
		}
	}
	if len(unsettled) == 0 {
		return still, nil
	}
	settled, err := g.settle(ctx, unsettled)
	return append(still, settled...), err
}

// settle verifies sockets by the tables. The descriptors of those that no table has were seen before, and are
// looked at once more: in between such a socket could have been closed.
func (g *Grip) settle(ctx context.Context, sockets []*closewait.Socket) ([]*closewait.Socket, error) {
	waiting, defunct := splitDefunct(sockets)
	still, err := g.hands.listed(ctx, waiting)
	if err != nil || len(defunct) == 0 {
		return still, err
	}
	unlisted, err := g.hands.unlisted(ctx, defunct)
	if err != nil {
		return nil, err
	}
	held, err := g.socketFDs(ctx, unlisted)
	if err != nil {
		return nil, err
	}
	for _, s := range unlisted {
		if _, holds := held[s.Inode]; holds {
			still = append(still, s)
		}
	}
	return still, nil
}

// isOther tells whether an error of duplicate or identify means that the descriptor was closed or
// is another socket, or the same one in another state.
func isOther(err error) bool {
	return errors.Is(err, errOther) || errors.Is(err, unix.EBADF) || host.Vanished(err)
}

// listed returns those of the sockets that stand in the tables of their namespaces in CLOSE_WAIT.
func (h *Hands) listed(ctx context.Context, sockets []*closewait.Socket) (still []*closewait.Socket, err error) {
	for ns, group := range byNamespace(sockets) {
		err := h.host.InNamespace(ctx, ns, func() error {
			rows, err := rowsOf(ctx, group)
			for s := range rows {
				still = append(still, s)
			}
			return err
		})
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("look for sockets anew: %w", err)
		}
	}
	return still, nil
}

// rowsOf dumps the network namespace of the current thread and returns what it says of those of the
// sockets that are still in CLOSE_WAIT.
func rowsOf(ctx context.Context, sockets []*closewait.Socket) (map[*closewait.Socket]sockdiag.Row, error) {
	wanted := make(map[uint64]*closewait.Socket, len(sockets))
	for _, s := range sockets {
		if s.Accepted() {
			wanted[s.Inode] = s
		}
	}
	rows := make(map[*closewait.Socket]sockdiag.Row, len(wanted))
	_, err := sockdiag.NewDumper(host.TCPCloseWait).Dump(ctx, func(row *sockdiag.Row) {
		if s := wanted[uint64(row.Inode)]; s != nil && row.State == host.TCPCloseWait && row.Matches(s) {
			rows[s] = *row
		}
	})
	return rows, err
}

// splitDefunct tells apart the sockets in CLOSE_WAIT and those that are defunct.
func splitDefunct(sockets []*closewait.Socket) (waiting, defunct []*closewait.Socket) {
	for _, s := range sockets {
		if s.Defunct {
			defunct = append(defunct, s)
		} else {
			waiting = append(waiting, s)
		}
	}
	return waiting, defunct
}

func byNamespace(sockets []*closewait.Socket) map[closewait.NetNS][]*closewait.Socket {
	groups := map[closewait.NetNS][]*closewait.Socket{}
	for _, s := range sockets {
		groups[s.ID.NetNS] = append(groups[s.ID.NetNS], s)
	}
	return groups
}
