package scan

import (
	"context"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// closedSockets follows sockets whose connection has ended between two scans: they were in
// CLOSE_WAIT or FIN_WAIT2 in some scan, are in no table any more, and a descriptor keeps them open.
// It serves the scanners that read tables, which do not show such a socket.
//
// It is a memory that cannot be rebuilt: a new Scanner knows no closed sockets. A closed socket
// that changes hands (fork, SCM_RIGHTS, dup to another number) is only followed by a walk, which
// happens when a scan reads new sockets. If the last known descriptor is closed before
// that, the socket is lost, though another descriptor may keep it open.
//
// It reports a socket as closed by mistake in three cases: where a program connects a closed socket
// again (connect(2) with AF_UNSPEC), until the new connection is half-closed too; where a program
// shuts a socket down and then binds it to a device, because the kernel then searches only the
// sockets of that device; and for a scan where an MPTCP socket is missed while others come and go.
//
// The number of descriptors of the host bounds the memory: each closed socket is checked again, and
// forgotten when its descriptors are closed.
type closedSockets struct {
	host   *host.Host
	reader *namespaceReader

	known     []deadSocketCandidate // closed sockets, in the order of their last check
	checkedAt time.Time             // the last check of some of them

	suspects    []deadSocketCandidate // were not read any more: in another state, missed by a dump, or not read
	recheckedAt time.Time             // the last time that the suspects were checked again
	recheckCost time.Duration         // what that cost
}

// minChecked is the minimum number of closed sockets that each scan checks again, which takes
// about a millisecond.
const minChecked = 250

// maxClassified bounds the memory that is needed if many connections end at the same time.
const maxClassified = 10_000

// update finds the sockets that the last scan has read and that are closed now, and
// checks some of the closed sockets again. It must run before the owners are resolved, which may
// forget the sockets that have left. For each of them it reads one link. update returns the
// accepted sockets that the last scan has read and this one has not, at most
// maxConfirmed.
func (d *closedSockets) update(ctx context.Context, scan *tableScan, owners *ownerTable) (missed []closewait.Facts) {
	d.recheckSuspects(ctx, scan)
	all := left(scan, owners)
	for _, e := range all[:min(len(all), maxConfirmed)] {
		missed = append(missed, owners.listedFacts(e))
	}
	held := slices.DeleteFunc(all, func(e *ownerEntry) bool { return e.holders == nil })
	for entries := range slices.Chunk(held, maxClassified) {
		batch := make([]deadSocketCandidate, len(entries))
		for i, e := range entries {
			batch[i] = deadSocketCandidate{Facts: owners.closedFacts(e), holders: e.holderList(), handles: slices.Clone(owners.handlesOf(e))}
		}
		d.classify(ctx, scan.set.reached, batch)
	}
	d.check(scan.taken)
	return missed
}

// left returns the accepted sockets that the last scan has read and this one has not.
func left(scan *tableScan, owners *ownerTable) (left []*ownerEntry) {
	owners.next = 0
	for i := range scan.set.sockets {
		if e := owners.find(scan.set.sockets[i].Inode, scan.set.sockets[i].ID.Cookie); e != nil {
			e.seen, e.state = scan.number, scan.set.sockets[i].State
		}
	}
	for i := range owners.entries {
		e := &owners.entries[i]
		if e.seen > 0 && e.seen+1 == scan.number {
			left = append(left, e)
		}
	}
	return left
}

// recheckSuspects classifies the suspects of earlier scans again, for at most a hundredth of the
// time: a socket that its program has shut down can be in LAST_ACK for a quarter of an hour.
func (d *closedSockets) recheckSuspects(ctx context.Context, scan *tableScan) {
	started := time.Now()
	if len(d.suspects) == 0 || scan.taken.Sub(d.recheckedAt) < costShare*d.recheckCost {
		return
	}
	suspects := d.suspects
	d.suspects = nil
	d.classify(ctx, scan.set.reached, suspects)
	d.recheckedAt, d.recheckCost = scan.taken, time.Since(started)
}

// classify finds out which sockets that were not read any more are closed: a descriptor still
// refers to them, and no table has them. As a program can close its descriptor between the two
// checks, the descriptors are read again at the end. A socket that is still in its state, because
// the dump has missed it, stays a suspect: its connection may end before a dump shows it again.
func (d *closedSockets) classify(ctx context.Context, namespaces []host.Namespace, sockets []deadSocketCandidate) {
	sockets, _ = checkHolders(d.host, sockets)
	d.reader.findStates(ctx, namespaces, sockets)
	var absent []deadSocketCandidate
	for _, c := range sockets {
		if c.stateKnown && c.state == host.TCPNone {
			absent = append(absent, c)
		} else {
			d.suspects = append(d.suspects, c)
		}
	}
	if still, complete := checkHolders(d.host, absent); complete {
		d.known = append(d.known, still...)
	} else {
		d.suspects = append(d.suspects, still...)
	}
}

// check reads the descriptors of closed sockets again, some at each scan in turn: at least
// minChecked, and more as long as that takes less than a hundredth of the time.
func (d *closedSockets) check(now time.Time) {
	started := time.Now()
	share := now.Sub(d.checkedAt) / costShare
	d.checkedAt = now
	for left := len(d.known); left > 0; {
		n := min(left, minChecked)
		still, _ := checkHolders(d.host, d.known[:n])
		d.known = append(d.known[n:], still...)
		left -= n
		if time.Since(started) >= share {
			return
		}
	}
}

// addTo adds the closed sockets to the sockets of a scan. It first removes holders that have ended.
// It must run after the owners are resolved, which then know what the scan has seen.
func (d *closedSockets) addTo(scan *tableScan, owners *ownerTable) {
	d.forgetSeen(scan, owners)
	for i := range d.known {
		c := &d.known[i]
		c.keep(func(holder int) bool { return scan.holders.isAlive(c.holders[holder]) })
	}
	d.known = slices.DeleteFunc(d.known, deadSocketCandidate.hasNoHolder)
	if len(d.known) == 0 {
		d.known = nil // release the memory
	}
	for i := range d.known {
		c := &d.known[i]
		scan.set.add(closewait.SocketSample{Facts: c.Facts, Owner: closewait.OwnedByProcess, Holders: c.holders})
	}
}

// forgetSeen forgets the sockets that the scan has read in a table: a dump had only missed them,
// or their programs have connected them again. They are classified again when they leave it.
func (d *closedSockets) forgetSeen(scan *tableScan, owners *ownerTable) {
	seen := func(c deadSocketCandidate) bool {
		e := owners.find(c.Inode, c.ID.Cookie)
		return e != nil && e.seen == scan.number
	}
	d.known, d.suspects = slices.DeleteFunc(d.known, seen), slices.DeleteFunc(d.suspects, seen)
	if len(d.suspects) == 0 {
		d.suspects = nil // release the memory
	}
}

// byInode returns indices in known, sorted by inode.
func (d *closedSockets) byInode() []fdscan.InodeIndex {
	sorted := make([]fdscan.InodeIndex, len(d.known))
	for i := range d.known {
		sorted[i] = fdscan.NewInodeIndex(d.known[i].Inode, i)
	}
	slices.Sort(sorted)
	return sorted
}

// refresh updates the holders of the closed sockets from a walk. A process that the walk could
// not read stays a holder.
func (d *closedSockets) refresh(w *fdscan.Walk) {
	slices.Sort(w.Unread)
	for i := range d.known {
		c := &d.known[i]
		c.keep(func(holder int) bool {
			_, unread := slices.BinarySearch(w.Unread, c.holders[holder].PID)
			return unread
		})
	}
	w.Match(d.byInode(), func(index int, held []fdscan.Descriptor) {
		c := &d.known[index]
		found := make([]fdscan.Handle, len(held))
		for i := range held {
			found[i] = held[i].Handle
		}
		c.holders, c.handles = addHolders(*w.Holders(held), found, c.holders, c.handles)
	})
	d.known = slices.DeleteFunc(d.known, deadSocketCandidate.hasNoHolder)
}
