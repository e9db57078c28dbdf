package closewait

import (
	"cmp"
	"slices"
	"time"
)

// Tracker remembers sockets from scan to scan: since when each is in CLOSE_WAIT, when something
// last moved on it, and how many came to and left each process. It is not safe for concurrent use;
// an Observer serialises it.
//
// A dump that races with churn can miss a socket, so a socket is gone when two scans in a row have
// missed it. Views show only what their own scan saw.
type Tracker struct {
	scan      uint64 // number of the current scan
	sockets   map[SocketID]*tracked
	holders   map[ProcessID]*account
	durations Histogram
}

// tracked is a socket that was seen in one of the last two scans of its namespace.
type tracked struct {
	*Socket
	seen     uint64    // the last scan that saw it
	lastSeen time.Time // when that was
	missed   bool      // the scan after that has missed it
}

// account is what is known of a process that holds sockets now, or held some and still lives.
type account struct {
	held, unaccepted Holding
	entered, left    uint64
	stale            bool // the holdings are of an earlier scan
}

// NewTracker returns an empty Tracker; durationBounds are the buckets of View.Durations in seconds,
// ascending.
func NewTracker(durationBounds []float64) *Tracker {
	return &Tracker{
		sockets:   map[SocketID]*tracked{},
		holders:   map[ProcessID]*account{},
		durations: NewHistogram(durationBounds),
	}
}

// Update takes in a Snapshot and returns the View of it. Its cost beyond one look-up a socket is
// that of what has changed.
func (t *Tracker) Update(s *Snapshot) *View {
	t.scan++
	v := &View{Taken: s.Taken, Namespaces: len(s.NetNS), Unread: len(s.Unread), Denied: s.Denied}
	seen := 0
	for i := range s.Sockets {
		if t.see(&s.Sockets[i], s.Taken) {
			seen++
			v.Sockets[s.Sockets[i].Family()][s.Sockets[i].Owner]++
		}
	}
	if seen < len(t.sockets) {
		t.miss(s.Unread)
	}
	t.sweep(s)
	t.refresh()
	v.Durations = t.durations.clone()
	v.Holders = t.listHolders(s)
	return v
}

// see takes in a sighting; it is false for one that this scan has had before.
func (t *Tracker) see(row *Sighting, now time.Time) bool {
	e := t.sockets[row.ID]
	if e != nil {
		row.Direction = e.Direction // of the connection: it outlives the listener
	}
	switch {
	case e == nil:
		e = &tracked{Socket: newSocket(row, now)}
		t.sockets[row.ID] = e
		t.enter(e.Holders)
	case e.seen == t.scan:
		return false
	case e.Facts != row.Facts || e.Owner != row.Owner || !sameHolders(e.Holders, row.Holders):
		before := e.Socket
		e.Socket = before.after(row, now)
		t.leave(without(before.Holders, e.Holders))
		t.enter(without(e.Holders, before.Holders))
		t.spoil(e.Holders)
	case e.seen != t.scan-1: // back after a missed scan
		t.spoil(e.Holders)
	}
	e.seen, e.lastSeen, e.missed = t.scan, now, false
	return true
}

// miss deals with the sockets that this scan did not see. Of those in a namespace that could not
// be read nothing is known, so nothing is concluded.
func (t *Tracker) miss(unread []NetNS) {
	for id, e := range t.sockets {
		if e.seen == t.scan {
			continue
		}
		if e.seen == t.scan-1 {
			t.spoil(e.Holders)
		}
		switch {
		case slices.Contains(unread, id.NetNS):
		case e.missed:
			t.durations.observe(e.Age(e.lastSeen).Seconds())
			t.leave(e.Holders)
			delete(t.sockets, id)
		default:
			e.missed = true
		}
	}
}

func (t *Tracker) enter(holders []ProcessID) {
	for _, id := range holders {
		if t.holders[id] == nil {
			t.holders[id] = &account{}
		}
		t.holders[id].entered++
		t.holders[id].stale = true
	}
}

func (t *Tracker) leave(holders []ProcessID) {
	for _, id := range holders {
		if a := t.holders[id]; a != nil {
			a.left++
			a.stale = true
		}
	}
}

func (t *Tracker) spoil(holders []ProcessID) {
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
	type sets struct{ held, unaccepted []*Socket }
	stale := map[*account]*sets{}
	for _, a := range t.holders {
		if a.stale {
			stale[a] = &sets{}
		}
	}
	if len(stale) == 0 {
		return
	}
	for _, e := range t.sockets {
		if e.seen != t.scan {
			continue
		}
		for _, id := range e.Holders {
			a := t.holders[id]
			if a == nil || !a.stale {
				continue
			}
			if e.Accepted() {
				stale[a].held = append(stale[a].held, e.Socket)
			} else {
				stale[a].unaccepted = append(stale[a].unaccepted, e.Socket)
			}
		}
	}
	for a, s := range stale {
		a.held, a.unaccepted, a.stale = NewHolding(s.held), NewHolding(s.unaccepted), false
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

// newSocket is a socket at first sight. The FIN carried an ACK and nothing but keepalive answers
// came after it, so the time since the last ACK is a lower bound of the age.
func newSocket(row *Sighting, now time.Time) *Socket {
	s := &Socket{Facts: row.Facts, Owner: row.Owner, Holders: row.Holders, FirstSeen: now, Since: now}
	quiet := now
	if row.HasTimes {
		s.Since = now.Add(-row.SinceLastAck)
		quiet = now.Add(-min(row.SinceLastAck, row.SinceLastData))
	}
	if row.idle() {
		s.QuietSince = quiet
	}
	return s
}

// after is the socket after something has happened to it. Being accepted or passed on is no
// movement of the connection.
func (s *Socket) after(row *Sighting, now time.Time) *Socket {
	next := *s
	next.Facts, next.Owner, next.Holders = row.Facts, row.Owner, row.Holders
	switch {
	case !row.idle():
		next.QuietSince = time.Time{}
	case s.QuietSince.IsZero() || moved(&s.Facts, &row.Facts):
		next.QuietSince = now
	}
	return &next
}

func moved(a, b *Facts) bool {
	return a.RecvQueue != b.RecvQueue || a.SendQueue != b.SendQueue ||
		a.BytesSent != b.BytesSent || a.BytesAcked != b.BytesAcked || a.BytesReceived != b.BytesReceived
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
