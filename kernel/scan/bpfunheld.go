package scan

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// unheldSockets remembers the accepted sockets for which the ebpf scanner has found no
// descriptor: sockets in file tables of io_uring, on their way from process to process, of the
// kernel itself, or held by processes that it cannot see.
type unheldSockets struct {
	host     *host.Host
	orphans  map[closewait.SocketID]bool // found by the last dump, without a descriptor; nil before the first scan
	inFlight map[closewait.NetNS]bool    // namespaces in which an orphan was found twice

	searches   map[closewait.SocketID]search // for the holders of orphans
	searchedAt time.Time                     // the last walk for them
	searchCost time.Duration                 // what that cost
}

// search is the result of walks through /proc for the holders of a socket.
type search struct {
	holders   []closewait.ProcessID
	vainWalks uint8 // number of walks that found no holder
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
		switch {
		case row.State == closewait.FinWait2: // without a holder it is of no interest
			return true
		case !row.Accepted():
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
	scan.accepters = newAccepters(u.host, set, func(inode uint64) ([]closewait.ProcessID, bool) { return scan.holdersOfListener(inode), true })
	for i := range unheld {
		row := &unheld[i]
		row.Direction, row.Owner = set.listeners.direction(&row.Facts), owner
		if !row.Accepted() {
			scan.accepters.assign(row)
		}
	}
	return first && len(u.orphans) > 0
}

// findHolders searches /proc for the holders of the accepted sockets from an index on: processes
// that have them in file tables of io_uring. Like a new socket, each is searched for in vain
// maxVainWalks times, and all walks together take at most a hundredth of the time.
func (u *unheldSockets) findHolders(ctx context.Context, scan *bpfScan, from int, workers int) error {
	var wanted []fdscan.InodeIndex
	before, rows := u.searches, scan.set.sockets
	u.searches = map[closewait.SocketID]search{}
	lives := newHolderSet(u.host)
	for i := from; i < len(rows); i++ {
		row := &rows[i]
		if !row.Accepted() {
			continue
		}
		known := before[row.ID]
		if !slices.ContainsFunc(known.holders, func(id closewait.ProcessID) bool { return !lives.isAlive(id) }) {
			u.assignSearched(row, known)
		}
		if row.Owner != closewait.OwnedByProcess && known.vainWalks < maxVainWalks {
			wanted = append(wanted, fdscan.NewInodeIndex(row.Inode, i))
		}
	}
	if len(wanted) == 0 || time.Since(u.searchedAt) < costShare*u.searchCost || !u.host.Capable(unix.CAP_SYS_PTRACE) {
		return nil
	}
	slices.Sort(wanted)
	u.searchedAt = time.Now()
	w, err := fdscan.WalkProcesses(ctx, u.host, scan.processes.pids, workers, wanted)
	if err != nil {
		return err
	}
	u.searchCost = time.Since(u.searchedAt)
	found := map[int]search{}
	w.Match(wanted, func(index int, held []fdscan.Descriptor) { found[index] = search{holders: *w.Holders(held)} })
	for _, x := range wanted {
		row := &rows[x.Index()]
		result, held := found[x.Index()]
		if !held {
			result.vainWalks = before[row.ID].vainWalks + 1
		}
		u.assignSearched(row, result)
	}
	return nil
}

// assignSearched remembers a search for the holders of a socket, and assigns those it has found.
func (u *unheldSockets) assignSearched(row *closewait.SocketSample, s search) {
	u.searches[row.ID] = s
	if len(s.holders) > 0 {
		row.Owner, row.Holders = closewait.OwnedByProcess, s.holders
	}
}
