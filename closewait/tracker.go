package closewait

import (
	"slices"
	"time"
)

// Tracker remembers sockets from scan to scan: since when each is in CLOSE_WAIT, when something
// last moved on it, and how many came to and left each process. A socket that becomes defunct has
// left CLOSE_WAIT, and keeps its age all the same. A Tracker is not safe for concurrent use; an Observer
// serialises it.
//
// A dump that races with churn can miss a socket, so a socket is gone when two scans in a row have
// missed it and the second of them has not confirmed it (Snapshot.Confirmed). Views show only what
// their own scan listed.
type Tracker struct {
	scan      uint64 // number of the current scan
	sockets   map[SocketID]*tracked
	last, now []*tracked // as the last scan saw them, and the current one so far
	next      int        // index in last after that of the last find
	holders   map[ProcessID]*account
	ownerless []*account // the one of the sockets without a known holder
	recent    struct {   // what accounts has said last
		holders  []ProcessID
		accounts []*account
	}
	durations Histogram
}

// tracked is a socket that was seen in one of the last two scans of its namespace.
type tracked struct {
	*Socket
	seen     uint64    // the last scan that saw it
	lastSeen time.Time // when that was
	place    int       // in the order of the scan that saw it
	missed   bool      // the scan after that has missed it
}

// NewTracker returns an empty Tracker; durationBounds are the buckets of View.Durations in seconds,
// ascending.
func NewTracker(durationBounds []float64) *Tracker {
	return &Tracker{
		sockets:   map[SocketID]*tracked{},
		holders:   map[ProcessID]*account{},
		ownerless: []*account{{}},
		durations: NewHistogram(durationBounds),
	}
}

// Update takes in a Snapshot and returns the View of it. Its cost beyond one look-up a socket is
// that of what has changed.
func (t *Tracker) Update(s *Snapshot) *View {
	t.scan++
	t.next, t.last, t.now = 0, t.now, t.last[:0]
	if len(t.sockets) == 0 {
		t.sockets = make(map[SocketID]*tracked, len(s.Sockets)) // growing it step by step costs more
	}
	v := &View{Taken: s.Taken, Namespaces: len(s.NetNS), UnreadableNamespaces: len(s.UnreadableNetNS), Denied: s.Denied, AllDefunct: s.AllDefunct}
	for i := range s.Sockets {
		row := &s.Sockets[i]
		if !t.see(row, s.Taken) || row.Defunct {
			continue
		}
		v.Sockets[row.Family()][row.Owner]++
		if row.Owner == OwnerUnresolved && t.scan > 1 && t.now[len(t.now)-1].FirstSeen.Equal(s.Taken) {
			v.Transient++
		}
	}
	if len(t.now) < len(t.sockets) {
		t.miss(s)
	}
	clear(t.last) // what has gone is not to be kept alive by it
	t.sweep(s)
	t.refresh()
	v.Durations = t.durations.clone()
	v.Holders = t.listHolders(s)
	v.Ownerless = slices.Concat(t.ownerless[0].held.Sockets, t.ownerless[0].unaccepted.Sockets)
	return v
}

// see takes in a sighting; it is false for one that this scan has had before.
func (t *Tracker) see(row *SocketSample, now time.Time) bool {
	e := t.find(row.ID)
	if e != nil && e.Direction == Inbound && row.Direction != Inbound && e.sameConnection(row) {
		inbound := *row // the Snapshot belongs to the scanner
		inbound.Direction = Inbound
		row = &inbound // a connection stays inbound after its listener is closed
	}
	switch {
	case e == nil:
		e = &tracked{Socket: newSocket(row, now)}
		t.sockets[row.ID] = e
		t.come(e.Socket)
	case e.seen == t.scan:
		return false
	case e.Facts != row.Facts || e.Owner != row.Owner || !sameHolders(e.Holders, row.Holders):
		t.change(e, row, now)
	case e.seen != t.scan-1: // back after a missed scan
		t.spoil(e.Holders)
	}
	e.seen, e.lastSeen, e.missed, e.place = t.scan, now, false, len(t.now)
	t.now = append(t.now, e)
	return true
}

// change takes in what has happened to a socket.
func (t *Tracker) change(e *tracked, row *SocketSample, now time.Time) {
	before := e.Socket
	if !before.sameConnection(row) {
		t.part(e)
		e.Socket = newSocket(row, now)
		t.come(e.Socket)
		return
	}
	e.Socket = before.after(row, now)
	if e.Defunct && !before.Defunct {
		t.durations.observe(before.Age(e.lastSeen).Seconds())
	}
	t.move(before, e.Socket)
}

// find returns the socket, nil where it is not known. Dumps come in the same order as long as sockets
// stay, so that most finds are the neighbour of the one before and need no look-up.
func (t *Tracker) find(id SocketID) *tracked {
	if t.next < len(t.last) && t.last[t.next].ID == id {
		t.next++
		return t.last[t.next-1]
	}
	e := t.sockets[id]
	if e != nil {
		t.next = e.place + 1
	}
	return e
}

// miss deals with the sockets that this scan did not list. Nothing is known of a socket in a
// namespace that could not be read, so nothing is concluded.
func (t *Tracker) miss(s *Snapshot) {
	confirmed := make(map[SocketID]bool, len(s.Confirmed))
	for _, id := range s.Confirmed {
		confirmed[id] = true
	}
	for id, e := range t.sockets {
		if e.seen == t.scan {
			continue
		}
		if e.seen == t.scan-1 {
			t.spoil(e.Holders)
		}
		switch {
		case slices.Contains(s.UnreadableNetNS, id.NetNS):
		case !e.missed:
			e.missed = true
		case e.Defunct || !confirmed[id]: // no table has a defunct socket, so nothing can confirm it
			t.part(e)
			delete(t.sockets, id)
		}
	}
}

// part counts what a socket has left: CLOSE_WAIT or, when it was defunct and had left that before, nothing.
func (t *Tracker) part(e *tracked) {
	if e.Defunct {
		t.spoil(e.Holders)
		return
	}
	t.durations.observe(e.Age(e.lastSeen).Seconds())
	t.leave(e.Holders)
}

// newSocket is a socket at first sight. The FIN carried an ACK and nothing but keepalive answers
// came after it, so the time since the last ACK is a lower bound of the age. It says nothing of when a
// socket became defunct.
func newSocket(row *SocketSample, now time.Time) *Socket {
	s := &Socket{Facts: row.Facts, Owner: row.Owner, Holders: row.Holders, FirstSeen: now, Since: now}
	quiet := now
	if row.HasTimes && !row.Defunct {
		s.Since = now.Add(-row.SinceLastAck)
		quiet = now.Add(-min(row.SinceLastAck, row.SinceLastData))
	}
	if row.idle() {
		s.QuietSince = quiet
	}
	return s
}

// sameConnection tells whether a socket has the connection that it had. A program can take that away and connect
// the socket anew (connect(2), AF_UNSPEC): it keeps its cookie and its inode, and has other addresses. Only one that is
// bound to its port and calls the same peer again has the old ones, and is taken for the same.
func (s *Socket) sameConnection(row *SocketSample) bool {
	return s.Local == row.Local && s.Remote == row.Remote
}

// after is the socket after something has happened to it. Being accepted or passed on is no
// movement of the connection. What empties the queues of a socket that becomes defunct is its end.
func (s *Socket) after(row *SocketSample, now time.Time) *Socket {
	next := *s
	next.Facts, next.Owner, next.Holders = row.Facts, row.Owner, row.Holders
	switch {
	case !row.idle():
		next.QuietSince = time.Time{}
	case s.QuietSince.IsZero() || !row.Defunct && moved(&s.Facts, &row.Facts):
		next.QuietSince = now
	}
	return &next
}

func moved(a, b *Facts) bool {
	return a.RecvQueue != b.RecvQueue || a.SendQueue != b.SendQueue ||
		a.BytesSent != b.BytesSent || a.BytesAcked != b.BytesAcked || a.BytesReceived != b.BytesReceived
}
