package kernel

import (
	"context"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// findStates finds out in which state sockets are in the tables of their namespaces, by netlink each by
// itself. Those whose namespace cannot be reached stay unsettled.
func (s *Scanner) findStates(ctx context.Context, sockets []remnant) {
	in := map[closewait.NetNS][]*remnant{}
	for i := range sockets {
		sockets[i].settled = false
		in[sockets[i].ID.NetNS] = append(in[sockets[i].ID.NetNS], &sockets[i])
	}
	list := slices.DeleteFunc(slices.Clone(s.reached), func(ns host.Namespace) bool { return in[ns.ID] == nil })
	search := func(ns host.Namespace) error { return s.searchTables(ctx, ns, in[ns.ID]) }
	ask := func(ns host.Namespace) error {
		if slices.ContainsFunc(in[ns.ID], func(r *remnant) bool { return r.ID.Cookie == 0 }) {
			return search(ns)
		}
		return askForStates(ctx, in[ns.ID])
	}
	s.visitNamespaces(list, ask, search, func(_ host.Namespace, err error) { s.host.Errors.Add(host.StageSockets, err) })
}

// askForStates asks for sockets with cookies in the network namespace of the calling thread.
func askForStates(ctx context.Context, sockets []*remnant) error {
	conn, err := sockdiag.NewConn()
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
func (s *Scanner) searchTables(ctx context.Context, ns host.Namespace, sockets []*remnant) error {
	states := make(map[uint64]uint8, len(sockets))
	for _, r := range sockets {
		states[r.Inode] = host.TCPNone
	}
	err := s.tables.Each(ctx, ns, s.whereFromBPF(), procfs.AllButTimeWait, func(row procfs.TCPRow) {
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
