package scan

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// unheldSockets remembers the accepted sockets for which the ebpf scanner has found no
// descriptor: sockets on their way from process to process, or held by processes that it cannot
// see.
type unheldSockets struct {
	orphans  map[closewait.SocketID]bool // found by the last dump, without a descriptor; nil before the first scan
	inFlight map[closewait.NetNS]bool    // namespaces in which an orphan was found twice
}

// first reports whether no scan has been completed yet.
func (u *unheldSockets) first() bool { return u.orphans == nil }

// assign fills in the owners of the sockets from an index on, which dumps have added. It removes
// accepted sockets that it sees for the first time: a process can have got the descriptor after
// its descriptors were read. again is true if it has removed sockets in the first scan, which
// then must be repeated: a program that scans only once must see the sockets in flight too.
func (u *unheldSockets) assign(scan *bpfScan, from int) (again bool) {
	set, first := scan.set, u.first()
	before := u.orphans
	u.orphans, u.inFlight = map[closewait.SocketID]bool{}, map[closewait.NetNS]bool{}
	for id := range before {
		if scan.processes.in[id.NetNS] && !slices.ContainsFunc(set.reached, func(ns host.Namespace) bool { return ns.ID == id.NetNS }) {
			u.orphans[id] = true // its namespace was not dumped this time
		}
	}
	unheld := slices.DeleteFunc(set.sockets[from:], func(row closewait.SocketSample) bool {
		if !row.Accepted() {
			return false
		}
		u.orphans[row.ID] = true
		if before[row.ID] {
			u.inFlight[row.ID.NetNS] = true
		}
		return !before[row.ID]
	})
	set.sockets = set.sockets[:from+len(unheld)]
	owner := closewait.OwnerUnresolved
	if scan.host.SeesAllProcesses {
		owner = closewait.OwnedByKernel
	}
	accepters := newAccepters(set.listeners, func(inode uint64) ([]closewait.ProcessID, bool) { return scan.listening[inode], true })
	for i := range unheld {
		row := &unheld[i]
		row.Direction, row.Owner = set.listeners.direction(&row.Facts), owner
		if !row.Accepted() {
			row.Owner = closewait.OwnedByListener
			row.Holders, _ = accepters.of(row)
		}
	}
	return first && len(u.orphans) > 0
}
