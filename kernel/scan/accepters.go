package scan

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// accepters finds, in one scan, the processes that could accept a connection that waits in an
// accept queue.
type accepters struct {
	host      *host.Host
	set       *socketSet
	holdersOf func(inode uint64) (holders []closewait.ProcessID, valid bool) // of a listener

	found    map[place]*acceptQueues
	lineage  *procfs.Lineage                       // nil until it is needed
	accepted map[port]map[closewait.ProcessID]bool // nil until it is needed; see acceptedOn
}

// place is where a connection waits: its local address and its interface.
type place struct {
	endpoint
	iface uint32
}

// acceptQueues describes the accept queues in which the connections at one place can be.
type acceptQueues struct {
	queues  []processQueue
	all     []closewait.ProcessID // that could accept from any of them, ascending by pid
	sockets int                   // unaccepted sockets at this place
}

// processQueue is an accept queue with the processes that accept from it.
type processQueue struct {
	length  uint32
	holders []closewait.ProcessID
}

func newAccepters(h *host.Host, set *socketSet, holdersOf func(inode uint64) ([]closewait.ProcessID, bool)) *accepters {
	return &accepters{host: h, set: set, holdersOf: holdersOf, found: map[place]*acceptQueues{}}
}

// assign fills in the holders of an unaccepted socket, who hold the listener in whose accept queue
// it is. It returns false if the holders of a listener are not valid. The holders of all accepted
// sockets of the set must have been assigned.
func (a *accepters) assign(row *closewait.SocketSample) (valid bool) {
	at := place{endpoint{row.ID.NetNS, row.Local}, row.Interface}
	w := a.found[at]
	if w == nil {
		if w, valid = a.find(at); !valid {
			return false
		}
		a.found[at] = w
	}
	w.sockets++
	row.Owner, row.Holders, row.Contested = closewait.OwnedByListener, w.all, w.isContested()
	return true
}

// find finds the queues in which connections at a place can be. Queues that are empty have none,
// unless all seem to be: a queue can have changed between reading listeners and connections.
func (a *accepters) find(at place) (w *acceptQueues, valid bool) {
	candidates := a.set.listeners.of(at.ns, at.local, at.iface)
	isEmpty := func(l listener) bool { return l.queue.Length == 0 }
	if filled := slices.DeleteFunc(slices.Clone(candidates), isEmpty); len(filled) > 0 {
		candidates = filled
	}
	w = &acceptQueues{}
	for _, l := range candidates {
		holders, valid := a.holdersOf(l.inode)
		if !valid {
			return nil, false
		}
		holders = a.withoutKeepers(holders, port{at.ns, at.local.Port()})
		w.queues = append(w.queues, processQueue{l.queue.Length, holders})
		w.all = append(w.all, holders...)
	}
	slices.SortFunc(w.all, fdscan.ByPID)
	w.all = slices.Compact(w.all)
	return w, true
}

// isContested reports whether some process accepts from some of the queues only.
func (w *acceptQueues) isContested() bool {
	return slices.ContainsFunc(w.queues, func(q processQueue) bool { return len(q.holders) != len(w.all) })
}

// withoutKeepers returns the holders of a listener without keepers, which only keep it open, such
// as the service manager after socket activation, or the master of forked workers. Who accepts
// cannot be read. A process that holds a connection which was accepted on the port is no keeper.
// Another one is a keeper if a descendant has the listener too, and runs the same program or has
// accepted a connection; or if it has inherited the listener from another program that has accepted
// a connection.
func (a *accepters) withoutKeepers(holders []closewait.ProcessID, on port) []closewait.ProcessID {
	if len(holders) < 2 {
		return holders
	}
	if a.lineage == nil {
		a.lineage = procfs.NewLineage(a.host)
	}
	accepted := a.acceptedOn(on)
	keepsFor := func(keeper, accepter closewait.ProcessID) bool {
		switch {
		case keeper == accepter || accepted[keeper]:
			return false
		case a.lineage.Descends(accepter, keeper):
			return accepted[accepter] || a.lineage.IsServiceManager(keeper) || a.lineage.SameProgram(keeper, accepter)
		}
		return accepted[accepter] && a.lineage.Descends(keeper, accepter) && !a.lineage.SameProgram(keeper, accepter)
	}
	rest := slices.DeleteFunc(slices.Clone(holders), func(keeper closewait.ProcessID) bool {
		return slices.ContainsFunc(holders, func(accepter closewait.ProcessID) bool { return keepsFor(keeper, accepter) })
	})
	if len(rest) == 0 {
		return holders
	}
	return rest
}

// acceptedOn returns the processes that hold connections which were accepted on a port.
func (a *accepters) acceptedOn(on port) map[closewait.ProcessID]bool {
	if a.accepted == nil {
		a.accepted = map[port]map[closewait.ProcessID]bool{}
		for i := range a.set.sockets {
			row := &a.set.sockets[i]
			if !row.Accepted() || row.Direction != closewait.Inbound {
				continue
			}
			at := localPort(row)
			if a.accepted[at] == nil {
				a.accepted[at] = map[closewait.ProcessID]bool{}
			}
			for _, id := range row.Holders {
				a.accepted[at][id] = true
			}
		}
	}
	return a.accepted[on]
}

// addQueues describes the accept queues of processes, after all sockets have been assigned.
func (a *accepters) addQueues(processes []closewait.Process) {
	of := make(map[closewait.ProcessID]*closewait.AcceptQueues, len(processes))
	for i := range processes {
		of[processes[i].ID] = &processes[i].Queues
	}
	for l := range a.set.listeners.all() {
		holders, _ := a.holdersOf(l.inode)
		for _, id := range holders {
			if q := of[id]; q != nil {
				q.Fullest = closewait.Fuller(q.Fullest, l.queue)
			}
		}
	}
	for _, w := range a.found {
		if w.isContested() {
			w.addContested(of)
		}
	}
}

// addContested adds, for each process, the maximum number of the sockets that its queues can have.
func (w *acceptQueues) addContested(of map[closewait.ProcessID]*closewait.AcceptQueues) {
	total, own := 0, map[closewait.ProcessID]int{}
	for _, queue := range w.queues {
		total += int(queue.length)
		for _, id := range queue.holders {
			own[id] += int(queue.length)
		}
	}
	for id, n := range own {
		if q := of[id]; q != nil {
			if total == 0 { // the lengths are of another moment
				n = w.sockets
			}
			q.Contested += min(n, w.sockets)
			q.Inexact = q.Inexact || total != w.sockets
		}
	}
}
