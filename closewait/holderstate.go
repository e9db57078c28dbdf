package closewait

import (
	"cmp"
	"maps"
	"slices"
)

// holderState is the Tracker's memory of a process that holds sockets, or held some and still
// lives.
type holderState struct {
	ended, unaccepted, other Holding
	entered, left            uint64
	busiest                  route
	dirty                    bool      // the holdings are of an earlier scan
	current                  socketSet // of this scan, while refresh collects it
}

// socketSet collects the sockets of a holder by kind.
type socketSet struct{ ended, unaccepted, other []*Socket }

// add sorts a socket in.
func (c *socketSet) add(s *Socket) {
	switch {
	case !s.State.Ended():
		c.other = append(c.other, s)
	case s.Accepted():
		c.ended = append(c.ended, s)
	default:
		c.unaccepted = append(c.unaccepted, s)
	}
}

// busiest returns the route on which most sockets are.
func (c *socketSet) busiest() route {
	counts := routes{}
	for _, list := range [...][]*Socket{c.ended, c.other} {
		for _, s := range list {
			counts.add(s, 1)
		}
	}
	return counts.busiest()
}

// add counts a socket that the Tracker did not know.
func (t *Tracker) add(s *Socket) {
	t.markDirty(s.Holders)
	t.enter(s.leakedBy())
	t.routes.add(s, 1)
}

// move counts a socket that has changed. Its holders may have changed, or it may have been
// accepted.
func (t *Tracker) move(before, after *Socket) {
	t.markDirty(before.Holders)
	t.markDirty(after.Holders)
	t.routes.add(before, -1)
	t.routes.add(after, 1)
	from, to := before.leakedBy(), after.leakedBy()
	if sameHolders(from, to) {
		return
	}
	t.leave(without(from, to))
	t.enter(without(to, from))
}

// leakedBy are the processes that have a descriptor for the ended socket. There are none for a
// socket that has not ended, or waits in an accept queue.
func (s *Socket) leakedBy() []ProcessID {
	if !s.State.Ended() || !s.Accepted() {
		return nil
	}
	return s.Holders
}

// enter counts an ended socket that came to its holders, and leave one that left them.
func (t *Tracker) enter(holders []ProcessID) {
	if len(holders) == 0 {
		return
	}
	for _, h := range t.statesOf(holders) {
		h.entered++
	}
}

func (t *Tracker) leave(holders []ProcessID) {
	if len(holders) == 0 {
		return
	}
	for _, h := range t.statesOf(holders) {
		h.left++
	}
}

// markDirty makes refresh compute the holdings of the holders again.
func (t *Tracker) markDirty(holders []ProcessID) {
	for _, h := range t.statesOf(holders) {
		h.dirty = true
	}
}

// statesOf returns the state of each holder, or the state of sockets without a known holder. Many
// sockets in a row have the same holders, so the last answer is kept. It is valid until the next
// call.
func (t *Tracker) statesOf(holders []ProcessID) []*holderState {
	if len(holders) == 0 {
		return t.ownerless
	}
	if recent := t.recent.holders; len(recent) == len(holders) && &recent[0] == &holders[0] {
		return t.recent.states
	}
	t.recent.holders, t.recent.states = holders, t.recent.states[:0]
	for _, id := range holders {
		if t.holders[id] == nil {
			t.holders[id] = &holderState{}
		}
		t.recent.states = append(t.recent.states, t.holders[id])
	}
	return t.recent.states
}

// prune forgets the processes that have ended, including those whose pid was reused.
func (t *Tracker) prune(s *Snapshot) {
	start := make(map[int]uint64, len(s.Processes))
	for _, p := range s.Processes {
		start[p.ID.PID] = p.ID.Start
	}
	t.recent.holders = nil
	for id := range t.holders {
		_, lives := slices.BinarySearch(s.PIDs, id.PID)
		if now, described := start[id.PID]; described { // the process can be younger than the list of pids
			lives = now == id.Start
		}
		if !lives {
			delete(t.holders, id)
		}
	}
}

// refresh computes the holdings that have changed.
func (t *Tracker) refresh() {
	dirty := slices.AppendSeq(slices.Clone(t.ownerless), maps.Values(t.holders))
	dirty = slices.DeleteFunc(dirty, func(h *holderState) bool { return !h.dirty })
	if len(dirty) == 0 {
		return
	}
	for _, e := range t.now {
		for _, h := range t.statesOf(e.Holders) {
			if h.dirty {
				h.current.add(e.Socket)
			}
		}
	}
	for _, h := range dirty {
		h.busiest = h.current.busiest()
		h.ended, h.unaccepted, h.other = NewHolding(h.current.ended), NewHolding(h.current.unaccepted), NewHolding(h.current.other)
		h.current, h.dirty = socketSet{}, false
	}
}

// listHolders lists the processes that hold sockets now, in the order of View.Holders.
func (t *Tracker) listHolders(s *Snapshot) []*Holder {
	list := make([]*Holder, 0, len(s.Processes))
	for _, p := range s.Processes {
		state := t.holders[p.ID]
		if state == nil {
			continue
		}
		h := &Holder{
			Process: p, Ended: state.ended, Unaccepted: state.unaccepted, Other: state.other,
			Entered: state.entered, Left: state.left, Ports: t.routes.use(state.busiest, s.UsablePorts),
		}
		if h.Total() > 0 {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b *Holder) int {
		return cmp.Or(cmp.Compare(b.fill(), a.fill()), cmp.Compare(b.Total(), a.Total()), cmp.Compare(b.Oldest(s.Taken), a.Oldest(s.Taken)), cmp.Compare(a.ID.PID, b.ID.PID))
	})
	return list
}

// sameHolders compares two sorted lists. Scanners return the same slice as long as nothing
// changes, so the elements are rarely compared.
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
