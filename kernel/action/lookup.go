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

// inTables returns the sockets that the TCP tables of their namespaces show in the same state.
func (e *Executor) inTables(ctx context.Context, sockets []*closewait.Socket) (found []*closewait.Socket, err error) {
	for ns, group := range byNamespace(sockets) {
		err := e.host.InNamespace(ctx, ns, func() error {
			rows, err := tableRows(ctx, group)
			for s := range rows {
				found = append(found, s)
			}
			return err
		})
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("look up sockets in the TCP tables: %w", err)
		}
	}
	return found, nil
}

// tableRows dumps the network namespace of the current thread. It returns the rows of the given
// sockets that are still in the same state.
func tableRows(ctx context.Context, sockets []*closewait.Socket) (map[*closewait.Socket]sockdiag.Row, error) {
	wanted := make(map[uint64]*closewait.Socket, len(sockets))
	var states []uint
	for _, s := range sockets {
		if s.Accepted() {
			wanted[s.Inode] = s
			states = append(states, uint(host.TCPState(s.State)))
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	rows := make(map[*closewait.Socket]sockdiag.Row, len(wanted))
	_, err := briefDumper(states...).Dump(ctx, func(row *sockdiag.Row) {
		if s := wanted[uint64(row.Inode)]; s != nil && row.State == host.TCPState(s.State) && row.Matches(s) {
			rows[s] = *row
		}
	})
	return rows, err
}

// absentFromTables returns the sockets that are absent from the TCP tables of their namespaces. It
// leaves out sockets whose namespace has no process left, because its tables cannot be read.
func (e *Executor) absentFromTables(ctx context.Context, sockets []*closewait.Socket) (absent []*closewait.Socket, err error) {
	for ns, group := range byNamespace(sockets) {
		err := e.host.InNamespace(ctx, ns, func() error {
			listed := map[uint64]bool{}
			malformed, err := briefDumper(sockdiag.HeldStates...).Dump(ctx, func(row *sockdiag.Row) { listed[uint64(row.Inode)] = true })
			for _, s := range group {
				if err == nil && malformed == 0 && s.Accepted() && !listed[s.Inode] {
					absent = append(absent, s)
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("look up sockets in the TCP tables: %w", err)
		}
	}
	return absent, nil
}

// briefDumper returns a dumper that waits for no lock of a socket.
func briefDumper(states ...uint) *sockdiag.Dumper {
	d := sockdiag.NewDumper(states...)
	d.Brief = true
	return d
}

func byNamespace(sockets []*closewait.Socket) map[closewait.NetNS][]*closewait.Socket {
	groups := map[closewait.NetNS][]*closewait.Socket{}
	for _, s := range sockets {
		groups[s.ID.NetNS] = append(groups[s.ID.NetNS], s)
	}
	return groups
}
