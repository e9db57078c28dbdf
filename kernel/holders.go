package kernel

import (
	"context"
	"fmt"
	"slices"

	"closewait_exporter/closewait"
)

// Holders is who holds some sockets at one moment.
type Holders struct {
	Of       map[closewait.SocketID][]closewait.ProcessID // ascending by pid; absent for a socket that nobody is seen to hold
	Complete bool                                         // every process that /proc shows could be looked into, but perhaps pid 1
}

// mayShare tells whether a process could hold a socket of others. The first one of the host, which
// sandboxes and security modules hide from everybody, hands sockets to its children and keeps none
// that is connected.
func mayShare(pid int) bool { return pid != 1 }

// Holders looks afresh who holds the sockets: it reads the descriptors of all processes, for any of
// them can have got one by fork or SCM_RIGHTS. What that costs is in docs/PERFORMANCE.md.
func (h *Hands) Holders(ctx context.Context, sockets []*closewait.Socket) (Holders, error) {
	pids, err := h.pids()
	if err != nil {
		return Holders{}, fmt.Errorf("look for holders: list processes: %w", err)
	}
	slices.Sort(pids)
	w, err := h.scanner.walkProcesses(ctx, pids)
	if err != nil {
		return Holders{}, fmt.Errorf("look for holders: %w", err)
	}
	wanted := make(map[uint64]closewait.SocketID, len(sockets))
	for _, s := range sockets {
		if s.Accepted() {
			wanted[s.Inode] = s.ID
		}
	}
	found := Holders{Of: make(map[closewait.SocketID][]closewait.ProcessID, len(sockets)), Complete: !slices.ContainsFunc(w.unread, mayShare)}
	slices.Sort(w.found)                        // by socket, then by process, which are ascending
	for _, f := range slices.Compact(w.found) { // a process can have several descriptors for one
		if id, ok := wanted[f.inode()]; ok {
			found.Of[id] = append(found.Of[id], w.ids[f.index()])
		}
	}
	return found, nil
}
