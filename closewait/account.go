package closewait

import (
	"cmp"
	"slices"
)

// account is what is known of a process that holds sockets now, or held some and still lives.
type account struct {
	held, unaccepted Holding
	entered, left    uint64
	stale            bool // the holdings are of an earlier scan
}

// move counts a changed socket whose holders may be others now.
func (t *Tracker) move(before, after []ProcessID) {
	t.spoil(before)
	t.spoil(after)
	if sameHolders(before, after) {
		return
	}
	if gone := without(before, after); len(gone) > 0 {
		t.leave(gone)
	}
	if came := without(after, before); len(came) > 0 {
		t.enter(came)
	}
}

// enter counts a socket that came to the holders, and leave one that left them.
func (t *Tracker) enter(holders []ProcessID) {
	for _, id := range holders {
		if t.holders[id] == nil {
			t.holders[id] = &account{}
		}
		t.holders[id].entered++
	}
	t.spoil(holders)
}

func (t *Tracker) leave(holders []ProcessID) {
	for _, id := range holders {
		if a := t.holders[id]; a != nil {
			a.left++
		}
	}
	t.spoil(holders)
}

// spoil marks the accounts of a socket that has changed, so that refresh makes them anew.
func (t *Tracker) spoil(holders []ProcessID) {
	if len(holders) == 0 {
		t.ownerless.stale = true
	}
	for _, id := range holders {
		if a := t.holders[id]; a != nil {
			a.stale = true
		}
	}
}

// sweep forgets the processes that have ended, also those whose pid another process has now.
func (t *Tracker) sweep(s *Snapshot) {
	start := make(map[int]uint64, len(s.Processes))
	for _, p := range s.Processes {
		start[p.ID.PID] = p.ID.Start
	}
	for id := range t.holders {
		_, lives := slices.BinarySearch(s.PIDs, id.PID)
		if now, known := start[id.PID]; !lives || known && now != id.Start {
			delete(t.holders, id)
		}
	}
}

// refresh computes the holdings that have changed.
func (t *Tracker) refresh() {
	fresh := t.staleAccounts()
	if len(fresh) == 0 {
		return
	}
	for _, e := range t.now {
		if len(e.Holders) == 0 {
			fresh[&t.ownerless].add(e.Socket)
		}
		for _, id := range e.Holders {
			fresh[t.holders[id]].add(e.Socket)
		}
	}
	for a, s := range fresh {
		a.held, a.unaccepted, a.stale = NewHolding(s.accepted), NewHolding(s.unaccepted), false
	}
}

func (t *Tracker) staleAccounts() map[*account]*socketSet {
	stale := map[*account]*socketSet{}
	for _, a := range t.holders {
		if a.stale {
			stale[a] = &socketSet{}
		}
	}
	if t.ownerless.stale {
		stale[&t.ownerless] = &socketSet{}
	}
	return stale
}

type socketSet struct{ accepted, unaccepted []*Socket }

// add does nothing for a nil set: that of an account which is up to date.
func (s *socketSet) add(socket *Socket) {
	switch {
	case s == nil:
	case socket.Accepted():
		s.accepted = append(s.accepted, socket)
	default:
		s.unaccepted = append(s.unaccepted, socket)
	}
}

func (t *Tracker) listHolders(s *Snapshot) []*Holder {
	list := make([]*Holder, 0, len(s.Processes))
	for _, p := range s.Processes {
		a := t.holders[p.ID]
		if a == nil || a.held.Len()+a.unaccepted.Len() == 0 {
			continue
		}
		list = append(list, &Holder{Process: p, Held: a.held, Unaccepted: a.unaccepted, Entered: a.entered, Left: a.left})
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
