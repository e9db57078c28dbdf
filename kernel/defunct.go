package kernel

import (
	"context"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/fdscan"
	"closewait_exporter/kernel/host"
)

// defuncts remembers the sockets that have become defunct before our eyes: they were in CLOSE_WAIT in
// some scan, are in no table any more, and a descriptor shows them all the same. It serves engines that
// read tables, in which such a socket does not stand.
//
// Like owners it is a cache of what /proc says, but one that cannot be filled again: a Scanner that begins
// anew knows none, and a socket that changes hands while it is defunct (fork, SCM_RIGHTS, dup to another
// number) is only followed by a walk, which happens when there are new sockets in CLOSE_WAIT. When the
// last descriptor that was known is closed before, the socket is lost, though another may keep it open.
// A program that connects such a socket anew (connect(2) knows AF_UNSPEC) deceives it until that one is in
// CLOSE_WAIT too, and so does one that shuts a socket down and then binds it to a device, for the kernel looks
// there alone. It is bounded by the descriptors of the host: each of them is looked at again, and forgotten
// when it is closed.
type defuncts struct {
	scan     uint32    // number of the current scan, from 1
	known    []remnant // that are defunct, those first that were checked longest ago
	checked  time.Time // when some of them were, last
	suspects []remnant // that no dump shows, and that may stand in some table in another state, or missed, or unread
	judged   time.Time // when the suspects were judged again, last
	cost     time.Duration
}

// checkedAtOnce is how many defunct sockets are looked at again in any case at each scan: that takes about
// a millisecond.
const checkedAtOnce = 250

// judgedAtOnce bounds the memory that it takes when many sockets leave CLOSE_WAIT at the same time.
const judgedAtOnce = 10_000

// noticeDefunct finds those of the sockets that have left CLOSE_WAIT since the last scan which are
// defunct now, and looks again at some that were. It comes before the owners are resolved, which may
// forget what has left. A socket that has left costs a link to read, where its coming has cost a walk.
// It returns the accepted sockets that the last scan saw in CLOSE_WAIT and this one does not, at most
// mostConfirmed.
func (s *Scanner) noticeDefunct(ctx context.Context, now time.Time) (missed []closewait.Facts) {
	s.defuncts.scan++
	s.judgeSuspects(ctx, now)
	all := s.left()
	for _, o := range all[:min(len(all), mostConfirmed)] {
		missed = append(missed, s.owners.listedFacts(o))
	}
	held := slices.DeleteFunc(all, func(o *owned) bool { return o.holders == nil })
	for left := range slices.Chunk(held, judgedAtOnce) {
		batch := make([]remnant, len(left))
		for i, o := range left {
			batch[i] = s.remnantOf(o)
		}
		s.judge(ctx, batch)
	}
	s.checkDefunct(now)
	return missed
}

// left returns the accepted sockets that the last scan saw in CLOSE_WAIT and this one does not.
func (s *Scanner) left() (left []*owned) {
	o := &s.owners
	o.next = 0
	for i := range s.sockets {
		if known := o.find(s.sockets[i].Inode, s.sockets[i].ID.Cookie); known != nil {
			known.seen = s.defuncts.scan
		}
	}
	for i := range o.known {
		known := &o.known[i]
		if known.seen > 0 && known.seen+1 == s.defuncts.scan {
			left = append(left, known)
		}
	}
	return left
}

func (s *Scanner) remnantOf(o *owned) remnant {
	return remnant{Facts: s.owners.defunctFacts(o), holders: o.holderList(), handles: slices.Clone(s.owners.handlesOf(o))}
}

// judgeSuspects judges the old suspects again, when that costs a hundredth of the time: a socket that the
// program has shut down can be in LAST_ACK for a quarter of an hour.
func (s *Scanner) judgeSuspects(ctx context.Context, now time.Time) {
	d, started := &s.defuncts, time.Now()
	if len(d.suspects) == 0 || now.Sub(d.judged) < lookShare*d.cost {
		return
	}
	suspects := d.suspects
	d.suspects = nil
	s.judge(ctx, suspects)
	d.judged, d.cost = now, time.Since(started)
}

// judge finds out what has become of sockets that have left CLOSE_WAIT. Those whose descriptors show them
// and that no table has are defunct. As they could be closed between the look at the one and at the
// other, the descriptors have the last word. One that is in CLOSE_WAIT after all, because the dump has only
// missed it, stays suspect: it may be defunct before a dump shows it again.
func (s *Scanner) judge(ctx context.Context, sockets []remnant) {
	d := &s.defuncts
	sockets, _ = s.checkHolders(sockets)
	s.findStates(ctx, sockets)
	var absent []remnant
	for _, r := range sockets {
		if r.settled && r.state == host.TCPNone {
			absent = append(absent, r)
		} else {
			d.suspects = append(d.suspects, r)
		}
	}
	if still, sure := s.checkHolders(absent); sure {
		d.known = append(d.known, still...)
	} else {
		d.suspects = append(d.suspects, still...)
	}
}

// checkDefunct looks again whether the descriptors of defunct sockets show them: of some at each scan in
// turn, and of so many that it costs a hundredth of the time.
func (s *Scanner) checkDefunct(now time.Time) {
	d, started := &s.defuncts, time.Now()
	share := now.Sub(d.checked) / lookShare
	d.checked = now
	for left := len(d.known); left > 0; {
		n := min(left, checkedAtOnce)
		still, _ := s.checkHolders(d.known[:n])
		d.known = append(d.known[n:], still...)
		left -= n
		if time.Since(started) >= share {
			return
		}
	}
}

// forgetSeen forgets what it has thought of the sockets that this scan sees in CLOSE_WAIT: a dump has only
// missed them, or their programs have connected them anew. When they leave again, they are judged again.
func (s *Scanner) forgetSeen() {
	d := &s.defuncts
	seen := func(r remnant) bool {
		o := s.owners.find(r.Inode, r.ID.Cookie)
		return o != nil && o.seen == d.scan
	}
	d.known, d.suspects = slices.DeleteFunc(d.known, seen), slices.DeleteFunc(d.suspects, seen)
	if len(d.suspects) == 0 {
		d.suspects = nil // what is over is to cost no memory
	}
}

// reportDefunct adds the defunct sockets to those of the scan. A process that has ended has none, which is
// seen at once. It comes after the owners are resolved, which then know what this scan has seen.
func (s *Scanner) reportDefunct() {
	s.forgetSeen()
	d := &s.defuncts
	for i := range d.known {
		r := &d.known[i]
		r.keep(func(holder int) bool { return s.livesNow(r.holders[holder]) })
	}
	d.known = slices.DeleteFunc(d.known, remnant.isOver)
	if len(d.known) == 0 {
		d.known = nil
	}
	for i := range d.known {
		r := &d.known[i]
		s.addSocket(closewait.SocketSample{Facts: r.Facts, Owner: closewait.OwnedByProcess, Holders: r.holders})
	}
}

// byInode are indices in known, sorted by inode.
func (d *defuncts) byInode() []fdscan.InodeIndex {
	sorted := make([]fdscan.InodeIndex, len(d.known))
	for i := range d.known {
		sorted[i] = fdscan.NewInodeIndex(d.known[i].Inode, i)
	}
	slices.Sort(sorted)
	return sorted
}

// refresh takes the holders of the defunct sockets from a walk. Of a process that it could not look into
// nothing is known, so that it stays a holder.
func (d *defuncts) refresh(w *fdscan.Walk) {
	slices.Sort(w.Unread)
	for i := range d.known {
		r := &d.known[i]
		r.keep(func(holder int) bool {
			_, unread := slices.BinarySearch(w.Unread, r.holders[holder].PID)
			return unread
		})
	}
	w.Match(d.byInode(), func(index int, held []fdscan.Descriptor) {
		r := &d.known[index]
		found := make([]fdscan.Handle, len(held))
		for i := range held {
			found[i] = held[i].Handle
		}
		r.holders, r.handles = addHolders(*w.Holders(held), found, r.holders, r.handles)
	})
	d.known = slices.DeleteFunc(d.known, remnant.isOver)
}
