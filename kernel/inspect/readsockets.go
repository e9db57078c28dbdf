package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/kernel/child"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// readTable reads the sockets of the network namespace without times.
func (r *reading) readTable(ctx context.Context) (*table, error) {
	ns, err := r.namespace()
	if err != nil {
		return nil, err
	}
	return readTable(ctx, r.Host, ns)
}

func (r *reading) namespace() (closewait.NetNS, error) {
	ns, err := host.ReadNamespace(r.dir, ".")
	if err != nil {
		return ns, r.dir.UnlessEnded(".", err)
	}
	return ns, nil
}

// readTimes reads the sockets of the network namespace with their times, in the child process. What
// it does not answer, a reading without times replaces.
func (r *reading) readTimes(ctx context.Context) (*table, error) {
	t, failed := newTable(), error(nil)
	err := child.Ask(ctx, r.child, memoryRequest{Process: r.process.ID, Table: true}, func(a *memoryAnswer) {
		for i := range a.Rows {
			t.add(&a.Rows[i])
		}
		if a.Error != "" {
			failed = errors.New(a.Error)
		}
	})
	if err = cmp.Or(err, failed); err == nil {
		return t, nil
	}
	r.missing("for how long its connections have waited", err)
	return r.readTable(ctx)
}

// readSockets reads the sockets of the process.
func (r *reading) readSockets(ctx context.Context, readTable func(context.Context) (*table, error)) error {
	after, err := readTable(ctx)
	if err != nil {
		return err
	}
	mine, err := fdscan.Find(ctx, r.Host, r.dir, r.process.ID.PID, after.inodes())
	if err != nil {
		return err
	}
	r.indices = make(map[uint64]int, len(mine))
	r.facts.Sockets, r.peers = after.sockets(r.table, mine, r.indices)
	if r.Peek {
		r.peek(ctx, after, mine)
	}
	return nil
}

// nameHolders finds the processes on this host whose answers threads wait for, and those that share
// a listener with connections in its queue.
func (r *reading) nameHolders(ctx context.Context) error {
	var wanted []fdscan.InodeIndex
	for _, t := range r.facts.Threads {
		if t.Socket < 0 || !t.Still {
			continue
		}
		s := &r.facts.Sockets[t.Socket]
		if inode := r.peers[t.Socket]; s.Peer.Place == diagnose.OtherProcess && !s.Inbound && inode != 0 {
			wanted = append(wanted, fdscan.NewInodeIndex(inode, t.Socket))
		}
	}
	for inode, i := range r.indices {
		if s := &r.facts.Sockets[i]; s.State == diagnose.Listening && s.RecvQueue > 0 && !s.Moved {
			wanted = append(wanted, fdscan.NewInodeIndex(inode, i))
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	pids, err := r.Host.ListPIDs()
	if err != nil {
		return err
	}
	walk, err := fdscan.WalkProcesses(ctx, r.Host, pids, max(r.Workers, 1), wanted)
	if err != nil {
		return err
	}
	slices.Sort(wanted)
	walk.Match(wanted, func(socket int, found []fdscan.Descriptor) {
		s, holders := &r.facts.Sockets[socket], *walk.Holders(found)
		if s.State != diagnose.Listening {
			s.Peer.PID, s.Peer.Comm = holders[0].PID, commOf(r.Host, holders[0])
			return
		}
		for _, id := range holders {
			if id != r.process.ID {
				s.Others = append(s.Others, id.PID)
			}
		}
	})
	return nil
}

// commOf is the name of a process, empty if it has ended.
func commOf(h *host.Host, id closewait.ProcessID) string {
	dir, st, _, err := h.OpenProcessStat(id, nil)
	if err != nil {
		return ""
	}
	dir.Close()
	return string(st.Comm)
}
