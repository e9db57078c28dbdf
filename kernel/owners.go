package kernel

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// owners remembers who holds which socket, so that descriptors are only looked at when there is a
// socket that was not seen before. It is a cache: without it a scan says the same, and takes
// longer. The exception is a holder that came by fork or SCM_RIGHTS, or closed its descriptor while
// another kept the socket open: that shows at the next look, after Options.Relook at the latest.
type owners struct {
	known   []owned        // in the order of the dump before the last look
	byInode map[uint64]int // index in known
	next    int            // index after that of the last find
	looked  time.Time      // the last look
	cost    time.Duration  // of the last look
	denied  int            // processes that it could not look into
}

// owned is what a look has found out about a socket.
type owned struct {
	inode   uint64
	cookie  uint64 // tells when the inode has become that of another socket; 0 for listeners
	holders []closewait.ProcessID
	owner   closewait.Owner
	looks   int // how often it was looked for in vain
}

// vainLooks is how often a socket without a holder is looked for at once. The first look can come
// between accept(2) and the descriptor, or before a child is listed; after the second it is as good
// as sure that nobody holds it, and the next look is an ordinary one.
const vainLooks = 2

// find returns what is known of a socket, nil where nothing is. Dumps come in the same order as long as
// sockets stay, so that most finds are the neighbour of the one before and need no look-up.
func (o *owners) find(inode, cookie uint64) *owned {
	i := o.next
	if i >= len(o.known) || o.known[i].inode != inode {
		var known bool
		if i, known = o.byInode[inode]; !known {
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

// resolveOwners fills in the holders of all sockets.
func (s *Scanner) resolveOwners(ctx context.Context, now time.Time) error {
	if len(s.sockets) == 0 {
		return nil
	}
	outdated := now.Sub(s.owners.looked) >= max(s.options.Relook, lookShare*s.owners.cost)
	if !outdated && s.recallOwners(map[closewait.ProcessID]bool{}) {
		return nil
	}
	if err := s.look(ctx, now); err != nil {
		return err
	}
	s.recallOwners(nil)
	return nil
}

// recallOwners fills in the holders as they are remembered, and tells whether all could be. It stops
// at the first that is not as remembered, unless alive is nil: then everything is taken as it is.
// In alive it notes which holders it has found alive.
func (s *Scanner) recallOwners(alive map[closewait.ProcessID]bool) bool {
	for i := range s.sockets {
		row := &s.sockets[i]
		if !row.Accepted() {
			if alive != nil && !s.knowsListeners(row, alive) {
				return false
			}
			row.Owner, row.Holders = closewait.OwnedByListener, s.holdersOfListener(row)
			continue
		}
		o := s.owners.find(row.Inode, row.ID.Cookie)
		if alive != nil && !s.stillHolds(o, alive) {
			return false
		}
		row.Owner, row.Holders = closewait.OwnerUnresolved, nil
		if o != nil {
			row.Owner, row.Holders = o.owner, o.holders
		}
	}
	return true
}

// knowsListeners tells whether the holders of the listeners of an unaccepted socket are known.
func (s *Scanner) knowsListeners(row *closewait.Sighting, alive map[closewait.ProcessID]bool) bool {
	for _, inode := range s.listeners.of(row.ID.NetNS, row.Local) {
		if !s.stillHolds(s.owners.find(inode, 0), alive) {
			return false
		}
	}
	return true
}

// stillHolds tells whether what is remembered of a socket still holds. A socket that was looked for in
// vain is known too: to look for its holder at each scan would cost a walk each time.
func (s *Scanner) stillHolds(o *owned, alive map[closewait.ProcessID]bool) bool {
	if o == nil || len(o.holders) == 0 && o.looks < vainLooks {
		return false
	}
	for _, id := range o.holders {
		lives, asked := alive[id]
		if !asked {
			lives = s.lives(id)
			alive[id] = lives
		}
		if !lives {
			return false
		}
	}
	return true
}

// look finds the holders of all sockets anew: with the descriptors read anyway, it costs little to
// look for all instead of the new ones.
func (s *Scanner) look(ctx context.Context, now time.Time) (err error) {
	if s.pids, err = s.listPIDs(); err != nil { // again: the holder may be younger than the scan
		return err
	}
	before, started := s.owners, time.Now()
	s.owners = s.unknownOwners()
	w, err := s.walkProcesses(ctx, s.pids)
	if err != nil {
		s.owners = before
		return err
	}
	s.owners.looked, s.owners.cost, s.owners.denied = now, time.Since(started), w.denied
	s.remember(w.found)
	s.rememberOwnerless(&before, w)
	return nil
}

// unknownOwners has all accepted sockets and the listeners of all others, with no holders yet.
func (s *Scanner) unknownOwners() owners {
	o := owners{known: make([]owned, 0, len(s.sockets)), byInode: make(map[uint64]int, len(s.sockets))}
	add := func(inode, cookie uint64) {
		if _, twice := o.byInode[inode]; !twice {
			o.byInode[inode] = len(o.known)
			o.known = append(o.known, owned{inode: inode, cookie: cookie})
		}
	}
	for i := range s.sockets {
		row := &s.sockets[i]
		if row.Accepted() {
			add(row.Inode, row.ID.Cookie)
			continue
		}
		for _, inode := range s.listeners.of(row.ID.NetNS, row.Local) {
			add(inode, 0)
		}
	}
	return o
}

// remember groups what a walk has found by socket. Sockets with the same holders share one list.
func (s *Scanner) remember(found []holding) {
	slices.SortFunc(found, func(a, b holding) int {
		return cmp.Or(cmp.Compare(a.socket, b.socket), cmp.Compare(a.holder.PID, b.holder.PID))
	})
	found = slices.Compact(found) // a process can have several descriptors for one socket
	shared := map[string][]closewait.ProcessID{}
	var key []byte
	for len(found) > 0 {
		n := 1
		for n < len(found) && found[n].socket == found[0].socket {
			n++
		}
		key = key[:0]
		for _, f := range found[:n] {
			key = binary.NativeEndian.AppendUint64(key, uint64(f.holder.PID))
		}
		holders, known := shared[string(key)]
		if !known {
			for _, f := range found[:n] {
				holders = append(holders, f.holder)
			}
			shared[string(key)] = holders
		}
		o := &s.owners.known[found[0].socket]
		o.holders, o.owner = holders, closewait.OwnedByProcess
		found = found[n:]
	}
}

// rememberOwnerless notes which sockets the walk has looked for in vain. Only when every process was
// readable it is sure that no process holds them; and where one could not be read for want of
// something that may be there next time, the vain look does not count.
func (s *Scanner) rememberOwnerless(before *owners, w *walk) {
	nobody, looks := closewait.OwnerUnresolved, 0
	if w.denied+w.failed == 0 && s.seesAllProcesses {
		nobody = closewait.OwnedByKernel
	}
	if w.failed == 0 {
		looks = 1
	}
	for i := range s.owners.known {
		o := &s.owners.known[i]
		if len(o.holders) > 0 {
			continue
		}
		o.owner, o.looks = nobody, looks
		if b := before.find(o.inode, o.cookie); b != nil && looks > 0 {
			o.looks += b.looks
		}
	}
}

// holdersOfListener are the processes that could accept a connection: all holders of all listeners
// on its address.
func (s *Scanner) holdersOfListener(row *closewait.Sighting) []closewait.ProcessID {
	var all []closewait.ProcessID
	inodes := s.listeners.of(row.ID.NetNS, row.Local)
	for _, inode := range inodes {
		o := s.owners.find(inode, 0)
		if o != nil && len(inodes) == 1 {
			return o.holders
		}
		if o != nil {
			all = append(all, o.holders...)
		}
	}
	slices.SortFunc(all, func(a, b closewait.ProcessID) int { return cmp.Compare(a.PID, b.PID) })
	return slices.Compact(all)
}
