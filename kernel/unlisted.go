package kernel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/sockdiag"
)

// listedStates are those in which a socket can have a descriptor and stands in the tables: all but SYN_RECV,
// TIME_WAIT and NEW_SYN_RECV, which are of no socket yet or any more, and CLOSE.
var listedStates = []uint{1, 2, 4, 5, 8, 9, 10, 11}

// unlisted returns those of the sockets that stand in the tables of their namespaces in no state. Where
// nobody lives in a namespace any more, so that it cannot be looked into, nobody knows.
func (h *Hands) unlisted(ctx context.Context, sockets []*closewait.Socket) (absent []*closewait.Socket, err error) {
	for ns, group := range byNamespace(sockets) {
		err := h.host.InNamespace(ctx, ns, func() error {
			listed := map[uint64]bool{}
			malformed, err := sockdiag.NewDumper(listedStates...).Dump(ctx, func(row *sockdiag.Row) { listed[uint64(row.Inode)] = true })
			for _, s := range group {
				if err == nil && malformed == 0 && s.Accepted() && !listed[s.Inode] {
					absent = append(absent, s)
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("look whether sockets are connected: %w", err)
		}
	}
	return absent, nil
}
