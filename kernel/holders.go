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
	Complete bool                                         // every process that /proc shows could be looked into
}

// Holders looks afresh who holds the sockets: it reads the descriptors of all processes, for any of
// them can have got one by fork or SCM_RIGHTS. It costs 4-5 µs a descriptor of the host.
func (h *Hands) Holders(ctx context.Context, sockets []*closewait.Socket) (Holders, error) {
	pids, err := h.pids()
	if err != nil {
		return Holders{}, fmt.Errorf("look for holders: list processes: %w", err)
	}
	slices.Sort(pids)
	w := &walk{scanner: h.scanner, wanted: make(map[uint64]int, len(sockets))}
	for i, s := range sockets {
		if s.Accepted() {
			w.wanted[s.Inode] = i
		}
	}
	v := &visit{walk: w, entries: make([]byte, 32<<10)}
	for _, pid := range pids {
		if ctx.Err() != nil {
			return Holders{}, fmt.Errorf("look for holders: %w", context.Cause(ctx))
		}
		w.take(v.process(pid))
	}
	found := Holders{
		Of:       make(map[closewait.SocketID][]closewait.ProcessID, len(sockets)),
		Complete: w.denied+w.failed == 0,
	}
	for _, f := range w.found {
		slices.Sort(f.sockets)
		for _, i := range slices.Compact(f.sockets) { // a process can have several descriptors for one
			id := sockets[i].ID
			found.Of[id] = append(found.Of[id], f.holder)
		}
	}
	return found, nil
}
