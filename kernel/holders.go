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
	Complete bool                                         // every process of the host could be looked into
}

// Holders looks afresh who holds the sockets: it reads the descriptors of all processes, for any of
// them can have got one by fork or SCM_RIGHTS. It costs 4-5 µs a descriptor of the host.
func (h *Hands) Holders(ctx context.Context, sockets []*closewait.Socket) (Holders, error) {
	pids, err := h.pids()
	if err != nil {
		return Holders{}, fmt.Errorf("look for holders: list processes: %w", err)
	}
	slices.Sort(pids)
	wanted := make(cookies, len(sockets))
	for _, s := range sockets {
		wanted[s.Inode] = s.ID.Cookie
	}
	w, err := h.scanner.walkProcesses(ctx, pids, wanted)
	if err != nil {
		return Holders{}, fmt.Errorf("look for holders: %w", err)
	}
	byInode := map[uint64][]closewait.ProcessID{}
	for _, f := range w.found {
		if !slices.Contains(byInode[f.inode], f.holder) { // several descriptors
			byInode[f.inode] = append(byInode[f.inode], f.holder)
		}
	}
	found := Holders{
		Of:       make(map[closewait.SocketID][]closewait.ProcessID, len(sockets)),
		Complete: w.denied == 0 && w.failed == 0 && h.scanner.seesAllProcesses,
	}
	for _, s := range sockets {
		if holders := byInode[s.Inode]; holders != nil {
			slices.SortFunc(holders, func(a, b closewait.ProcessID) int { return a.PID - b.PID })
			found.Of[s.ID] = holders
		}
	}
	return found, nil
}
