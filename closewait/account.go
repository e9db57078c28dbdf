package closewait

import (
	"cmp"
	"maps"
	"slices"
)

// account is what is known of a process that holds sockets now, or held some and still lives.
type account struct {
	held, unaccepted, defunct Holding
	entered, left             uint64
	stale                     bool // the holdings are of an earlier scan
	fresh                     socketSet
}

// socketSet collects the sockets of new holdings.
type socketSet struct{ accepted, unaccepted, defunct []*Socket }

// add puts a socket where it belongs.
func (c *socketSet) add(s *Socket) {
	switch {
	case s.Defunct:
		c.defunct = append(c.defunct, s)
	case s.Accepted():
		c.accepted = append(c.accepted, s)
	default:
		c.unaccepted = append(c.unaccepted, s)
	}
}

// come counts a socket at first sight.
func (t *Tracker) come(s *Socket) {
	if s.Defunct {
		t.spoil(s.Holders)
		return
	}
	t.enter(s.Holders)
}

// move counts a changed socket, whose holders may be others now and which may have become defunct.
func (t *Tracker) move(before, after *Socket) {
	t.spoil(before.Holders)
	t.spoil(after.Holders)
	from, to := before.inCloseWaitFor(), after.inCloseWaitFor()
	if sameHolders(from, to) {
		return
	}
	if gone := without(from, to); len(gone) > 0 {
		t.leave(gone)
	}
	if came := without(to, from); len(came) > 0 {
		t.enter(came)
	}
}

// inCloseWaitFor are the processes that have the socket in CLOSE_WAIT: nobody has one that is defunct.
func (s *Socket) inCloseWaitFor() []ProcessID {
	if s.Defunct {
		return nil
	}
	return s.Holders
}

// enter counts a socket that came to the holders, and leave one that left them.
func (t *Tracker) enter(holders []ProcessID) {
	for _, a := range t.accounts(holders) {
		a.entered++
		a.stale = true
	}
}

func (t *Tracker) leave(holders []ProcessID) {
	for _, a := range t.accounts(holders) {
		a.left++
		a.stale = true
	}
}

// spoil marks the accounts of a socket that has changed, so that refresh makes them anew.
func (t *Tracker) spoil(holders []ProcessID) {
	for _, a := range t.accounts(holders) {
		a.stale = true
	}
}

// accounts are those of the holders, or that of the ownerless. Many sockets in a row have the same
// holders, so the last answer is kept; it is only valid until the next call.
func (t *Tracker) accounts(holders []ProcessID) []*account {
	if len(holders) == 0 {
		return t.ownerless
	}
	if recent := t.recent.holders; len(recent) == len(holders) && &recent[0] == &holders[0] {
		return t.recent.accounts
	}
	t.recent.holders, t.recent.accounts = holders, t.recent.accounts[:0]
	for _, id := range holders {
		if t.holders[id] == nil {
			t.holders[id] = &account{}
		}
		t.recent.accounts = append(t.recent.accounts, t.holders[id])
	}
	return t.recent.accounts
}

// sweep forgets the processes that have ended, also those whose pid another process has now.
func (t *Tracker) sweep(s *Snapshot) {
	start := make(map[int]uint64, len(s.Processes))
	for _, p := range s.Processes {
		start[p.ID.PID] = p.ID.Start
	}
	t.recent.holders = nil
	for id := range t.holders {
		_, lives := slices.BinarySearch(s.PIDs, id.PID)
		if now, described := start[id.PID]; described { // it can be younger than the list
			lives = now == id.Start
		}
		if !lives {
			delete(t.holders, id)
		}
	}
}

// refresh computes the holdings that have changed.
func (t *Tracker) refresh() {
	stale := slices.AppendSeq(slices.Clone(t.ownerless), maps.Values(t.holders))
	stale = slices.DeleteFunc(stale, func(a *account) bool { return !a.stale })
	if len(stale) == 0 {
		return
	}
	for _, e := range t.now {
		for _, a := range t.accounts(e.Holders) {
			if a.stale {
				a.fresh.add(e.Socket)
			}
		}
	}
	for _, a := range stale {
		a.held, a.unaccepted, a.defunct = NewHolding(a.fresh.accepted), NewHolding(a.fresh.unaccepted), NewHolding(a.fresh.defunct)
		a.fresh, a.stale = socketSet{}, false
	}
}

func (t *Tracker) listHolders(s *Snapshot) []*Holder {
	list := make([]*Holder, 0, len(s.Processes))
	for _, p := range s.Processes {
		a := t.holders[p.ID]
		if a == nil {
			continue
		}
		h := &Holder{Process: p, Held: a.held, Unaccepted: a.unaccepted, Defunct: a.defunct, Entered: a.entered, Left: a.left}
		if h.Total() > 0 {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b *Holder) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), cmp.Compare(b.Oldest(s.Taken), a.Oldest(s.Taken)), cmp.Compare(a.ID.PID, b.ID.PID))
	})
	return list
}

// sameHolders compares two lists in the same order. Scanners hand out the same list again as long
// as nothing changes, so that it is rarely read.
func sameHolders(a, b []ProcessID) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// without returns the elements of a that are not in b.
func without(a, b []ProcessID) []ProcessID {
	var rest []ProcessID
	for _, id := range a {
		if !slices.Contains(b, id) {
			rest = append(rest, id)
		}
	}
	return rest
}
