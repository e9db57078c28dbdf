package kernel

import (
	"context"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
)

// owners remembers who holds which socket, so that descriptors are only looked at when there is a
// socket that was not seen before. It is a cache: without it a scan says the same, and takes
// longer. The exception is a holder that came by fork or SCM_RIGHTS, or closed its descriptor while
// another kept the socket open: that shows at the next look, after Options.Relook or a hundred times
// what a look costs, whichever is longer.
type owners struct {
	known   []owned             // in the order of the dump before the last look
	ends    ends                // the addresses of each
	handles []fdscan.Handle     // of the holders of each in turn
	byInode []fdscan.InodeIndex // indices in known, sorted
	next    int                 // index in known after that of the last find
	looked  time.Time           // the last look
	cost    time.Duration       // of the last look
	unread  int                 // processes that it could not look into
}

// vainLooks is how often a socket without a holder is looked for at once. The first look can come
// between accept(2) and the descriptor, or before a child is listed; after the second it is as good
// as sure that nobody holds it, and the next look is an ordinary one.
const vainLooks = 2

// find returns what is known of a socket, nil where nothing is. Dumps come in the same order as long as
// sockets stay, so that most finds are the neighbour of the one before and need no look-up.
func (o *owners) find(inode, cookie uint64) *owned {
	i := o.next
	if i >= len(o.known) || uint64(o.known[i].inode) != inode {
		var known bool
		if i, known = fdscan.IndexOf(o.byInode, inode); !known {
			return nil
		}
	}
	o.next = i + 1
	if o.known[i].cookie != cookie {
		return nil
	}
	return &o.known[i]
}

// lookShare bounds what looks cost that no new socket asks for: a hundredth of the time.
const lookShare = 100

// resolveOwners fills in the directions and holders of all sockets.
func (s *Scanner) resolveOwners(ctx context.Context, now time.Time) error {
	s.holders = map[closewait.ProcessID]bool{}
	if len(s.sockets) == 0 {
		s.owners = owners{} // a leak that is over is to cost no memory
		return nil
	}
	outdated := now.Sub(s.owners.looked) >= max(s.options.Relook, lookShare*s.owners.cost)
	if !outdated && s.recallOwners(s.stillHolds) {
		return nil
	}
	if err := s.look(ctx, now); err != nil {
		return err
	}
	clear(s.holders)
	s.recallOwners(func(*owned) bool { return true })
	return nil
}

// recallOwners fills in the holders as they are remembered. It stops, and is false, at the first
// memory that is not good.
func (s *Scanner) recallOwners(good func(*owned) bool) bool {
	s.owners.next = 0
	s.accepters = map[*uint64][]closewait.ProcessID{}
	var before []closewait.ProcessID
	for i := range s.sockets {
		row := &s.sockets[i]
		row.Direction = s.listeners.direction(row.ID.NetNS, row.Local)
		row.Owner, row.Holders = closewait.OwnerUnresolved, nil
		if row.Accepted() {
			o := s.owners.find(row.Inode, row.ID.Cookie)
			if !good(o) {
				return false
			}
			if o != nil {
				row.Owner, row.Holders = o.owner, o.holderList()
				o.direction = row.Direction
			}
		} else {
			var known bool
			row.Owner = closewait.OwnedByListener
			if row.Holders, known = s.holdersOfListener(row, good); !known {
				return false
			}
		}
		if len(row.Holders) == 0 || len(before) > 0 && &before[0] == &row.Holders[0] {
			continue // sockets with the same holders share one list
		}
		before = row.Holders
		for _, id := range row.Holders {
			s.holders[id] = true
		}
	}
	return true
}

// stillHolds tells whether what is remembered of a socket still holds. A socket that was looked for in
// vain is known too: to look for its holder at each scan would cost a walk each time.
func (s *Scanner) stillHolds(o *owned) bool {
	if o == nil || o.holders == nil && o.looks < vainLooks {
		return false
	}
	for _, id := range o.holderList() {
		if !s.livesNow(id) {
			return false
		}
	}
	return true
}

// livesNow asks once in a scan whether a holder lives.
func (s *Scanner) livesNow(id closewait.ProcessID) bool {
	lives, asked := s.holders[id]
	if !asked {
		lives = s.host.Lives(id)
		s.holders[id] = lives
	}
	return lives
}

// look finds the holders of all sockets anew: with the descriptors read anyway, it costs little to
// look for all instead of the new ones.
func (s *Scanner) look(ctx context.Context, now time.Time) (err error) {
	if s.pids, err = s.host.ListPIDs(); err != nil { // again: the holder may be younger than the scan
		return err
	}
	before, started := s.owners, time.Now()
	s.owners = s.unknownOwners()
	w, err := fdscan.WalkProcesses(ctx, s.host, s.pids, s.options.Workers, s.owners.byInode, s.defuncts.byInode())
	if err != nil {
		s.owners = before
		return err
	}
	s.defuncts.refresh(w)
	s.owners.looked, s.owners.cost, s.owners.unread = now, time.Since(started), len(w.Unread)
	s.owners.remember(w)
	if w.OutOfResources > 0 {
		s.keepHolders(&before)
		s.owners.looked = time.Time{} // so the next scan looks again
	}
	s.rememberOwnerless(&before, w)
	return nil
}

// unknownOwners has all accepted sockets and the listeners of all others, with no holders yet.
func (s *Scanner) unknownOwners() owners {
	o := owners{known: make([]owned, 0, len(s.sockets))}
	seen := map[uint64]bool{} // listeners: each has many connections
	for i := range s.sockets {
		row := &s.sockets[i]
		if row.Accepted() {
			o.known = append(o.known, owned{
				inode: uint32(row.Inode), cookie: row.ID.Cookie, netNS: uint32(row.ID.NetNS), ends: o.ends.add(row.Local, row.Remote),
				iface: row.Interface, uid: row.UID, ipv4: row.Family() == closewait.IPv4, seen: s.defuncts.scan,
			})
			continue
		}
		for _, inode := range s.listeners.of(row.ID.NetNS, row.Local) {
			if !seen[inode] {
				seen[inode] = true
				o.known = append(o.known, owned{inode: uint32(inode)})
			}
		}
	}
	o.byInode = make([]fdscan.InodeIndex, len(o.known))
	for i := range o.known {
		o.byInode[i] = fdscan.NewInodeIndex(uint64(o.known[i].inode), i)
	}
	slices.Sort(o.byInode)
	return o
}

// remember notes who holds what, and where.
func (o *owners) remember(w *fdscan.Walk) {
	o.handles = make([]fdscan.Handle, 0, w.Len())
	w.Match(o.byInode, func(index int, held []fdscan.Descriptor) {
		known := &o.known[index]
		known.owner, known.holders, known.first = closewait.OwnedByProcess, w.Holders(held), uint32(len(o.handles))
		for _, d := range held {
			o.handles = append(o.handles, d.Handle)
		}
	})
}

// keepHolders adds the holders of before to those that were found by a walk which could not look into
// all processes: nothing tells that they are holders no more.
func (s *Scanner) keepHolders(before *owners) {
	for i := range s.owners.known {
		o := &s.owners.known[i]
		b := before.find(uint64(o.inode), o.cookie)
		if b == nil {
			continue
		}
		r := remnant{holders: b.holderList(), handles: before.handlesOf(b)}
		r.keep(func(holder int) bool {
			_, listed := slices.BinarySearch(s.pids, r.holders[holder].PID)
			return listed
		})
		holders, handles := addHolders(o.holderList(), slices.Clone(s.owners.handlesOf(o)), r.holders, r.handles)
		if len(holders) > len(o.holderList()) {
			o.holders, o.owner, o.first = &holders, closewait.OwnedByProcess, uint32(len(s.owners.handles))
			s.owners.handles = append(s.owners.handles, handles...)
		}
	}
}

// rememberOwnerless notes which sockets the walk has looked for in vain. Only when every process was
// readable it is sure that no process holds them; and where one could not be read for want of
// something that may be there next time, the vain look does not count.
func (s *Scanner) rememberOwnerless(before *owners, w *fdscan.Walk) {
	nobody, looks := closewait.OwnerUnresolved, uint8(0)
	if len(w.Unread) == 0 && s.host.SeesAllProcesses {
		nobody = closewait.OwnedByKernel
	}
	if w.OutOfResources == 0 {
		looks = 1
	}
	for i := range s.owners.known {
		o := &s.owners.known[i]
		if o.holders != nil {
			continue
		}
		o.owner, o.looks = nobody, looks
		if b := before.find(uint64(o.inode), o.cookie); b != nil && looks > 0 {
			o.looks = min(o.looks+b.looks, vainLooks)
		}
	}
}

// holdersOfListener are the processes that could accept a connection: all holders of all listeners
// on its address. It is false when what is remembered of one is not good.
func (s *Scanner) holdersOfListener(row *closewait.SocketSample, good func(*owned) bool) ([]closewait.ProcessID, bool) {
	inodes := s.listeners.of(row.ID.NetNS, row.Local)
	if len(inodes) == 0 {
		return nil, true
	}
	if all, known := s.accepters[&inodes[0]]; known {
		return all, true
	}
	var all []closewait.ProcessID
	for _, inode := range inodes {
		o := s.owners.find(inode, 0)
		if !good(o) {
			return nil, false
		}
		if o != nil {
			all = append(all, o.holderList()...)
		}
	}
	slices.SortFunc(all, fdscan.ByPID)
	s.accepters[&inodes[0]] = slices.Compact(all)
	return s.accepters[&inodes[0]], true
}
