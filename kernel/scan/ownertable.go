package scan

import (
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// ownerTable has the result of one walk: the holders of sockets.
type ownerTable struct {
	entries []ownerEntry        // in the order of the dump before the walk
	addrs   addrPairs           // the addresses of each entry
	handles []fdscan.Handle     // of the holders of each entry in turn
	byInode []fdscan.InodeIndex // indices in entries, sorted
	next    int                 // index in entries after the entry that was found last
}

// newOwnerTable returns a table of the accepted sockets and the listeners of a scan, whose holders
// are not known yet.
func newOwnerTable(scan *tableScan) ownerTable {
	t := ownerTable{entries: make([]ownerEntry, 0, len(scan.set.sockets))}
	for i := range scan.set.sockets {
		row := &scan.set.sockets[i]
		if row.Accepted() {
			t.entries = append(t.entries, ownerEntry{
				inode: uint32(row.Inode), cookie: row.ID.Cookie, netNS: uint32(row.ID.NetNS), addrs: t.addrs.add(row.Local, row.Remote),
				iface: row.Interface, uid: row.UID, ipv4: row.Family() == closewait.IPv4, seen: scan.number, state: row.State, mptcp: row.MPTCP,
			})
		}
	}
	for l := range scan.set.listeners.all() {
		t.entries = append(t.entries, ownerEntry{inode: uint32(l.inode)})
	}
	t.byInode = make([]fdscan.InodeIndex, len(t.entries))
	for i := range t.entries {
		t.byInode[i] = fdscan.NewInodeIndex(uint64(t.entries[i].inode), i)
	}
	slices.Sort(t.byInode)
	return t
}

// find returns the entry of a socket, nil if there is none. As long as sockets stay, dumps return
// them in the same order, so that the entry is usually the one after the last and needs no
// search.
func (t *ownerTable) find(inode, cookie uint64) *ownerEntry {
	i := t.next
	if i >= len(t.entries) || uint64(t.entries[i].inode) != inode {
		var known bool
		if i, known = fdscan.IndexOf(t.byInode, inode); !known {
			return nil
		}
	}
	t.next = i + 1
	if t.entries[i].cookie != cookie {
		return nil
	}
	return &t.entries[i]
}

// add adds the holders that a walk has found, with their handles.
func (t *ownerTable) add(w *fdscan.Walk) {
	t.handles = make([]fdscan.Handle, 0, w.Len())
	w.Match(t.byInode, func(index int, held []fdscan.Descriptor) {
		e := &t.entries[index]
		e.owner, e.holders, e.first = closewait.OwnedByProcess, w.Holders(held), uint32(len(t.handles))
		for _, d := range held {
			t.handles = append(t.handles, d.Handle)
		}
	})
}

// keepHolders adds the holders of an earlier table to the holders that were found by a walk which
// could not read all processes: nothing shows that they hold the sockets no more. pids are the
// processes that live, ascending.
func (t *ownerTable) keepHolders(before *ownerTable, pids []int) {
	for i := range t.entries {
		e := &t.entries[i]
		b := before.find(uint64(e.inode), e.cookie)
		if b == nil {
			continue
		}
		c := deadSocketCandidate{holders: b.holderList(), handles: before.handlesOf(b)}
		c.keep(func(holder int) bool {
			_, listed := slices.BinarySearch(pids, c.holders[holder].PID)
			return listed
		})
		holders, handles := addHolders(e.holderList(), slices.Clone(t.handlesOf(e)), c.holders, c.handles)
		if len(holders) > len(e.holderList()) {
			e.holders, e.owner, e.first = &holders, closewait.OwnedByProcess, uint32(len(t.handles))
			t.handles = append(t.handles, handles...)
		}
	}
}

// markOwnerless assigns an owner to the sockets for which the walk has found no holder. Only if
// it could read every process of the host, no process holds them. If it failed for lack of
// resources, it does not count as a walk that found no holder.
func (t *ownerTable) markOwnerless(before *ownerTable, w *fdscan.Walk, seesAllProcesses bool) {
	owner, vain := closewait.OwnerUnresolved, uint8(0)
	if len(w.Unread) == 0 && seesAllProcesses {
		owner = closewait.OwnedByKernel
	}
	if w.OutOfResources == 0 {
		vain = 1
	}
	for i := range t.entries {
		e := &t.entries[i]
		if e.holders != nil {
			continue
		}
		e.owner, e.vainWalks = owner, vain
		if b := before.find(uint64(e.inode), e.cookie); b != nil && vain > 0 {
			e.vainWalks = min(e.vainWalks+b.vainWalks, maxVainWalks)
		}
	}
}
