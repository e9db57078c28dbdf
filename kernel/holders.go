package kernel

import (
	"context"
	"fmt"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// mayShare tells whether a process could hold a socket of others. The first one of the host, which
// sandboxes and security modules hide from everybody, hands sockets to its children and keeps none
// that is connected.
func mayShare(pid int) bool { return pid != 1 }

// Holders looks afresh who holds the sockets: it reads the descriptors of all processes, for any of
// them can have got one by fork or SCM_RIGHTS. What that costs is in docs/PERFORMANCE.md.
func (h *Hands) Holders(ctx context.Context, sockets []*closewait.Socket) (closewait.HolderLookup, error) {
	pids, err := h.host.ListPIDs()
	if err != nil {
		return closewait.HolderLookup{}, fmt.Errorf("look for holders: list processes: %w", err)
	}
	wanted := make([]fdscan.InodeIndex, 0, len(sockets))
	for i, s := range sockets {
		if s.Accepted() {
			wanted = append(wanted, fdscan.NewInodeIndex(s.Inode, i))
		}
	}
	slices.Sort(wanted)
	w, err := fdscan.WalkProcesses(ctx, h.host, pids, h.options.Workers, wanted)
	if err != nil {
		return closewait.HolderLookup{}, fmt.Errorf("look for holders: %w", err)
	}
	found := closewait.HolderLookup{Of: make(map[closewait.SocketID][]closewait.ProcessID, len(sockets)), Complete: !slices.ContainsFunc(w.Unread, mayShare)}
	w.Match(wanted, func(index int, held []fdscan.Descriptor) { found.Of[sockets[index].ID] = *w.Holders(held) })
	return found, nil
}
