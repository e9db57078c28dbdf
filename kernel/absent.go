package kernel

import (
	"context"
	"slices"

	"closewait_exporter/closewait"
)

// findStates finds out in which state sockets are in the tables of their namespaces, by netlink each by
// itself. Those whose namespace cannot be reached stay unsettled.
func (s *Scanner) findStates(ctx context.Context, sockets []remnant) {
	in := map[closewait.NetNS][]*remnant{}
	for i := range sockets {
		sockets[i].settled = false
		in[sockets[i].ID.NetNS] = append(in[sockets[i].ID.NetNS], &sockets[i])
	}
	list := slices.DeleteFunc(slices.Clone(s.reached), func(ns Namespace) bool { return in[ns.ID] == nil })
	search := func(ns Namespace) error { return s.searchTables(ctx, ns, in[ns.ID]) }
	ask := func(ns Namespace) error {
		if slices.ContainsFunc(in[ns.ID], func(r *remnant) bool { return r.ID.Cookie == 0 }) {
			return search(ns)
		}
		return askForStates(ctx, in[ns.ID])
	}
	s.visitNamespaces(list, ask, search, func(_ Namespace, err error) { s.host.Errors.Add(StageSockets, err) })
}

// askForStates asks for sockets with cookies in the network namespace of the calling thread.
func askForStates(ctx context.Context, sockets []*remnant) error {
	conn, err := NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, r := range sockets {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.state, err = conn.State(&r.Facts); err != nil {
			return err
		}
		r.settled = true
	}
	return nil
}

// searchTables looks for sockets by their inodes in /proc/PID/net/tcp and tcp6. One that is held has an
// inode there in every state.
func (s *Scanner) searchTables(ctx context.Context, ns Namespace, sockets []*remnant) error {
	states := make(map[uint64]uint8, len(sockets))
	for _, r := range sockets {
		states[r.Inode] = TCPNone
	}
	err := s.tables.Each(ctx, ns, s.whereFromBPF(), AllButTimeWait, func(row TCPRow) {
		if _, wanted := states[row.Inode]; wanted {
			states[row.Inode] = row.State
		}
	})
	if err != nil {
		return err
	}
	for _, r := range sockets {
		r.state, r.settled = states[r.Inode], true
	}
	return nil
}
