package scan

import (
	"context"
	"fmt"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// ownerCache remembers who holds which socket, so that descriptors are read only if there is a
// socket that was not seen before. Without it a scan would take longer and have the same result,
// with one exception: a process that has become a holder by fork or SCM_RIGHTS, or has closed its
// descriptor while another one keeps the socket open, is noticed by the next walk, after
// Options.Refresh or a hundred times the cost of a walk, whichever is longer.
type ownerCache struct {
	host    *host.Host
	options Options
	table   ownerTable

	walkedAt time.Time     // the last walk
	walkCost time.Duration // of the last walk
	unread   int           // processes that the last walk could not read
}

// maxVainWalks is the number of walks that search for the holder of a socket without delay. The
// first can come between accept(2) and the descriptor, or before a child is listed. After the
// second it is nearly certain that no process holds the socket, and the next walk comes when it
// is due.
const maxVainWalks = 2

// costShare bounds the cost of work that can wait: it takes at most 1/costShare of the time.
const costShare = 100

// resolve fills in the directions, owners and holders of the sockets of a scan. It updates the
// holders of closed sockets if it has to read descriptors, and then lists the processes again,
// since a holder can be younger than the scan. It returns the processes that were listed last.
func (c *ownerCache) resolve(ctx context.Context, scan *tableScan, closed *closedSockets, pids []int) ([]int, error) {
	if len(scan.set.sockets) == 0 {
		c.table = ownerTable{} // a leak that is over must cost no memory
		return pids, nil
	}
	outdated := scan.taken.Sub(c.walkedAt) >= max(c.options.Refresh, costShare*c.walkCost)
	if !outdated && c.assign(scan, func(e *ownerEntry) bool { return stillValid(e, scan.holders) }) {
		return pids, nil
	}
	pids, err := c.walk(ctx, scan, closed)
	if err != nil {
		return nil, fmt.Errorf("search for the holders of sockets: %w", err)
	}
	scan.holders.clear()
	c.assign(scan, func(*ownerEntry) bool { return true })
	return pids, nil
}

// assign fills in the holders as they are remembered. It stops and returns false at the first
// entry that is not valid.
func (c *ownerCache) assign(scan *tableScan, valid func(*ownerEntry) bool) bool {
	c.table.next = 0
	scan.accepters = newAccepters(c.host, scan.set, func(inode uint64) ([]closewait.ProcessID, bool) {
		e := c.table.find(inode, 0)
		switch {
		case !valid(e):
			return nil, false
		case e == nil:
			return nil, true
		}
		return e.holderList(), true
	})
	return c.assignAccepted(scan, valid) && assignUnaccepted(scan)
}

// assignAccepted fills in the directions of all sockets, and the owners of the accepted ones.
func (c *ownerCache) assignAccepted(scan *tableScan, valid func(*ownerEntry) bool) bool {
	scan.finWait2Waits = false
	for i := range scan.set.sockets {
		row := &scan.set.sockets[i]
		row.Direction = scan.set.listeners.direction(&row.Facts)
		row.Owner, row.Holders = closewait.OwnerUnresolved, nil
		if !row.Accepted() {
			continue
		}
		e := c.table.find(row.Inode, row.ID.Cookie)
		// The holders of a new socket in FIN_WAIT2 are found by the next walk that is due: peers can
		// keep any program in that state.
		waits := e == nil && row.State == closewait.FinWait2
		if !valid(e) && !waits {
			return false
		}
		scan.finWait2Waits = scan.finWait2Waits || waits
		if e != nil {
			row.Owner, row.Holders = e.owner, e.holderList()
			if row.Direction != closewait.UnknownDirection {
				e.direction = row.Direction
			}
		}
		scan.holders.add(row.Holders)
	}
	return true
}

// assignUnaccepted fills in the holders of the listeners of the other sockets.
func assignUnaccepted(scan *tableScan) bool {
	for i := range scan.set.sockets {
		row := &scan.set.sockets[i]
		if row.Accepted() {
			continue
		}
		if !scan.accepters.assign(row) {
			return false
		}
		scan.holders.add(row.Holders)
	}
	return true
}

// stillValid reports whether an entry can be used without a walk. A socket that was searched for
// in vain has an entry too, because a search at each scan would cost a walk each time.
func stillValid(e *ownerEntry, holders *holderSet) bool {
	if e == nil || e.holders == nil && e.vainWalks < maxVainWalks {
		return false
	}
	for _, id := range e.holderList() {
		if !holders.isAlive(id) {
			return false
		}
	}
	return true
}

// walk reads all descriptors and finds the holders of all sockets, not only of new ones: that adds
// little to the cost of reading.
func (c *ownerCache) walk(ctx context.Context, scan *tableScan, closed *closedSockets) (pids []int, err error) {
	if pids, err = c.host.ListPIDs(); err != nil {
		return nil, err
	}
	started, table := time.Now(), newOwnerTable(scan)
	w, err := fdscan.WalkProcesses(ctx, c.host, pids, c.options.Workers, table.byInode, closed.byInode())
	if err != nil {
		return nil, err
	}
	closed.refresh(w)
	c.walkedAt, c.walkCost, c.unread = scan.taken, time.Since(started), len(w.Unread)
	table.add(w)
	if w.OutOfResources > 0 {
		table.keepHolders(&c.table, pids)
		c.walkedAt = time.Time{} // so the next scan walks again
	}
	table.markOwnerless(&c.table, w, c.host.SeesAllProcesses)
	c.table = table
	return pids, nil
}
