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
	byInode map[uint64]owned
	looked  time.Time     // the last look
	cost    time.Duration // of the last look
	denied  int           // processes that it could not look into
}

// owned is what a look has found out about a socket.
type owned struct {
	cookie  uint64 // tells when an inode has become that of another socket
	holders []closewait.ProcessID
	owner   closewait.Owner
	looks   int // how often it was looked for in vain
}

// vainLooks is how often a socket without a holder is looked for at once. The first look can come
// between accept(2) and the descriptor, or before a child is listed; after the second it is as good
// as sure that nobody holds it, and the next look is an ordinary one.
const vainLooks = 2

// lookShare bounds what looks cost that no new socket asks for: a hundredth of the time.
const lookShare = 100

// resolveOwners fills in the holders of all sockets.
func (s *Scanner) resolveOwners(ctx context.Context, now time.Time) error {
	if s.needsLook(now) {
		if err := s.look(ctx, now); err != nil {
			return err
		}
	}
	for i := range s.sockets {
		row := &s.sockets[i]
		if !row.Accepted() {
			row.Owner, row.Holders = closewait.OwnedByListener, s.holdersOfListener(row)
			continue
		}
		row.Owner, row.Holders = closewait.OwnerUnresolved, nil
		if o, known := s.owners.byInode[row.Inode]; known {
			row.Owner, row.Holders = o.owner, o.holders
		}
	}
	return nil
}

// needsLook tells whether some socket or holder is not as remembered, or the memory is old.
func (s *Scanner) needsLook(now time.Time) bool {
	if len(s.sockets) == 0 {
		return false
	}
	if now.Sub(s.owners.looked) >= max(s.options.Relook, lookShare*s.owners.cost) {
		return true
	}
	alive := map[closewait.ProcessID]bool{}
	for i := range s.sockets {
		row := &s.sockets[i]
		if row.Accepted() {
			if !s.isKnown(row.Inode, row.ID.Cookie, alive) {
				return true
			}
			continue
		}
		for _, inode := range s.listeners.of(row.ID.NetNS, row.Local) {
			if !s.isKnown(inode, 0, alive) {
				return true
			}
		}
	}
	return false
}

// isKnown tells whether what is remembered of a socket still holds. A socket that was looked for in
// vain is known too: to look for its holder at each scan would cost a walk each time.
func (s *Scanner) isKnown(inode, cookie uint64, alive map[closewait.ProcessID]bool) bool {
	o, known := s.owners.byInode[inode]
	if !known || o.cookie != cookie || len(o.holders) == 0 && o.looks < vainLooks {
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
	wanted := s.wantedInodes()
	started := time.Now()
	w, err := s.walkProcesses(ctx, s.pids, wanted)
	if err != nil {
		return err
	}
	s.owners.looked, s.owners.cost, s.owners.denied = now, time.Since(started), w.denied
	before := s.owners.byInode
	s.owners.byInode = make(map[uint64]owned, len(wanted))
	s.remember(w.found, wanted)
	if w.failed == 0 { // else the next scan may find who was not found
		s.rememberOwnerless(wanted, before, w.denied == 0 && s.seesAllProcesses)
	}
	return nil
}

// rememberOwnerless remembers the sockets that a walk has not found. Only when every process was
// readable it is sure that no process holds them.
func (s *Scanner) rememberOwnerless(wanted cookies, before map[uint64]owned, sure bool) {
	nobody := closewait.OwnerUnresolved
	if sure {
		nobody = closewait.OwnedByKernel
	}
	for inode, cookie := range wanted {
		if _, found := s.owners.byInode[inode]; found {
			continue
		}
		looks := 1
		if o := before[inode]; o.cookie == cookie {
			looks += o.looks
		}
		s.owners.byInode[inode] = owned{cookie: cookie, owner: nobody, looks: looks}
	}
}

// cookies are those of sockets by inode.
type cookies map[uint64]uint64

// wantedInodes are those of all accepted sockets and of the listeners of all others, with their
// cookies (listeners: 0).
func (s *Scanner) wantedInodes() cookies {
	wanted := make(cookies, len(s.sockets))
	for i := range s.sockets {
		row := &s.sockets[i]
		if row.Accepted() {
			wanted[row.Inode] = row.ID.Cookie
			continue
		}
		for _, inode := range s.listeners.of(row.ID.NetNS, row.Local) {
			wanted[inode] = 0
		}
	}
	return wanted
}

// remember groups what a walk has found by socket. Sockets with the same holders share one list.
func (s *Scanner) remember(found []holding, wanted cookies) {
	slices.SortFunc(found, func(a, b holding) int {
		return cmp.Or(cmp.Compare(a.inode, b.inode), cmp.Compare(a.holder.PID, b.holder.PID))
	})
	found = slices.Compact(found) // a process can have several descriptors for one socket
	shared := map[string][]closewait.ProcessID{}
	var key []byte
	for len(found) > 0 {
		inode, n := found[0].inode, 1
		for n < len(found) && found[n].inode == inode {
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
		s.owners.byInode[inode] = owned{cookie: wanted[inode], holders: holders, owner: closewait.OwnedByProcess}
		found = found[n:]
	}
}

// holdersOfListener are the processes that could accept a connection: all holders of all listeners
// on its address.
func (s *Scanner) holdersOfListener(row *closewait.Sighting) []closewait.ProcessID {
	inodes := s.listeners.of(row.ID.NetNS, row.Local)
	if len(inodes) == 1 {
		return s.owners.byInode[inodes[0]].holders
	}
	var all []closewait.ProcessID
	for _, inode := range inodes {
		all = append(all, s.owners.byInode[inode].holders...)
	}
	slices.SortFunc(all, func(a, b closewait.ProcessID) int { return cmp.Compare(a.PID, b.PID) })
	return slices.Compact(all)
}
