package action

import (
	"context"
	"fmt"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// Holders finds, for each socket, the processes that have a descriptor of it now. It reads the
// descriptors of all processes, because any process can get one by fork or SCM_RIGHTS
// (docs/PERFORMANCE.md has the cost).
func (e *Executor) Holders(ctx context.Context, sockets []*closewait.Socket) (closewait.HolderLookup, error) {
	pids, err := e.host.ListPIDs()
	if err != nil {
		return closewait.HolderLookup{}, fmt.Errorf("look up holders: list processes: %w", err)
	}
	wanted := make([]fdscan.InodeIndex, 0, len(sockets))
	for i, s := range sockets {
		if s.Accepted() {
			wanted = append(wanted, fdscan.NewInodeIndex(s.Inode, i))
		}
	}
	slices.Sort(wanted)
	w, err := fdscan.WalkProcesses(ctx, e.host, pids, e.options.Workers, wanted)
	if err != nil {
		return closewait.HolderLookup{}, fmt.Errorf("look up holders: %w", err)
	}
	found := closewait.HolderLookup{
		Of:       make(map[closewait.SocketID][]closewait.ProcessID, len(sockets)),
		Complete: !slices.ContainsFunc(w.Unread, mayHoldSockets),
	}
	w.Match(wanted, func(index int, held []fdscan.Descriptor) { found.Of[sockets[index].ID] = *w.Holders(held) })
	return found, nil
}

// mayHoldSockets reports whether a process whose descriptors cannot be read could hold a socket of
// another process. Sandboxes and security modules hide the descriptors of the first process of a
// host: it only passes sockets on to its children, and keeps no connected socket.
func mayHoldSockets(pid int) bool { return pid != 1 }
