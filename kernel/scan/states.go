package scan

import (
	"context"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// findStates finds the state of each socket in the tables of its namespace: by netlink one by
// one, or in a table of /proc. Only the given namespaces are read; in others the state stays
// unknown.
func (r *namespaceReader) findStates(ctx context.Context, namespaces []host.Namespace, sockets []deadSocketCandidate) {
	in := map[closewait.NetNS][]*deadSocketCandidate{}
	for i := range sockets {
		sockets[i].stateKnown = false
		in[sockets[i].ID.NetNS] = append(in[sockets[i].ID.NetNS], &sockets[i])
	}
	list := slices.DeleteFunc(slices.Clone(namespaces), func(ns host.Namespace) bool { return in[ns.ID] == nil })
	search := func(ns host.Namespace) error { return r.searchTables(ctx, ns, in[ns.ID]) }
	ask := func(ns host.Namespace) error {
		if slices.ContainsFunc(in[ns.ID], func(c *deadSocketCandidate) bool { return c.ID.Cookie == 0 }) {
			return search(ns)
		}
		return askForStates(ctx, in[ns.ID])
	}
	r.visit(list, ask, search, func(_ host.Namespace, err error) { r.host.Errors.Add(host.StageSockets, err) })
}

// askForStates asks for sockets with cookies in the network namespace of the calling thread.
func askForStates(ctx context.Context, sockets []*deadSocketCandidate) error {
	conn, err := sockdiag.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, c := range sockets {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.state, err = conn.State(&c.Facts); err != nil {
			return err
		}
		c.stateKnown = true
	}
	return nil
}

// searchTables searches /proc/PID/net/tcp and tcp6 for sockets by their inodes. A socket that a
// process holds has an inode there in every state.
func (r *namespaceReader) searchTables(ctx context.Context, ns host.Namespace, sockets []*deadSocketCandidate) error {
	states := make(map[uint64]uint8, len(sockets))
	for _, c := range sockets {
		states[c.Inode] = host.TCPNone
	}
	err := r.tables.Each(ctx, ns, r.where, procfs.AllButTimeWait, func(row procfs.TCPRow) {
		if _, wanted := states[row.Inode]; wanted {
			states[row.Inode] = row.State
		}
	})
	if err != nil {
		return err
	}
	for _, c := range sockets {
		c.state, c.stateKnown = states[c.Inode], true
	}
	return nil
}
