package closewait

import (
	"slices"
	"time"
)

// Tracker remembers sockets from scan to scan: how long each has been ended, when something last
// moved on it, and how many came to and left each process. An ended socket that goes from CloseWait
// to Closed stays the same socket. A Tracker is not safe for concurrent use; an Observer serialises
// it.
//
// A dump that races with churn can miss a socket, so a socket is gone when two scans in a row
// have missed it and the second of them has not confirmed it (Snapshot.Confirmed). A View shows
// only what its own scan listed.
type Tracker struct {
	scan      uint64 // number of the current scan
	sockets   map[SocketID]*tracked
	last, now []*tracked          // in the order of the last scan, and of the current one so far
	next      int                 // index in last that find tries first
	read      map[NetNS]time.Time // when each namespace of the last scan was last read
	holders   map[ProcessID]*holderState
	ownerless []*holderState // one element, for the sockets without a known holder
	recent    struct {       // the last answer of statesOf
		holders []ProcessID
		states  []*holderState
	}
	routes    routes
	durations Histogram
}

// tracked is a socket that was seen in one of the last two scans of its namespace.
type tracked struct {
	*Socket
	seen     uint64    // number of the last scan that listed it
	lastSeen time.Time // time of that scan
	index    int       // in the order of that scan
	missed   bool      // the scan after that one did not list it
}

// NewTracker returns an empty Tracker; durationBounds are the buckets of View.Durations in seconds,
// ascending.
func NewTracker(durationBounds []float64) *Tracker {
	durations := NewHistogram(durationBounds)
	durations.Exponential = map[int]int64{}
	return &Tracker{
		sockets:   map[SocketID]*tracked{},
		read:      map[NetNS]time.Time{},
		holders:   map[ProcessID]*holderState{},
		ownerless: []*holderState{{}},
		routes:    routes{},
		durations: durations,
	}
}

// Update adds a Snapshot and returns its View. It costs one lookup per socket, and more only for
// sockets that have changed.
func (t *Tracker) Update(s *Snapshot) *View {
	t.scan++
	t.next, t.last, t.now = 0, t.now, t.last[:0]
	if len(t.sockets) == 0 {
		t.sockets = make(map[SocketID]*tracked, len(s.Sockets)) // growing it step by step would cost more
	}
	v := &View{Taken: s.Taken, Uptime: s.Uptime, Namespaces: len(s.NetNS), UnreadableNamespaces: len(s.UnreadableNetNS), Denied: s.Denied, Complete: s.Complete}
	for i := range s.Sockets {
		sample := &s.Sockets[i]
		if !t.observe(sample, s.Taken) || !sample.State.Ended() {
			continue
		}
		if sample.State == Closed {
			if len(sample.Holders) == 0 {
				continue
			}
			v.closed++
		}
		v.Sockets[sample.Family()][sample.Owner]++
		if sample.Owner == OwnerUnresolved && t.scan > 1 && t.now[len(t.now)-1].FirstSeen.Equal(s.Taken) {
			v.Transient++
		}
	}
	if len(t.now) < len(t.sockets) {
		t.handleMissing(s)
	}
	t.noteRead(s)
	clear(t.last) // so that it keeps no forgotten socket alive
	t.prune(s)
	t.refresh()
	v.Durations = t.durations.clone()
	v.Holders = t.listHolders(s)
	v.Ownerless = slices.Concat(inState(CloseWait, t.ownerless[0].ended.Sockets), t.ownerless[0].unaccepted.Sockets)
	return v
}

// observe adds one sample. It returns false for a repetition within the same scan.
func (t *Tracker) observe(sample *SocketSample, now time.Time) bool {
	e := t.find(sample.ID)
	if e != nil {
		sample = e.complete(sample)
	}
	switch {
	case e == nil:
		e = &tracked{Socket: newSocket(sample, now, t.read[sample.ID.NetNS])}
		t.sockets[sample.ID] = e
		t.add(e.Socket)
	case e.seen == t.scan:
		return false
	case e.Facts != sample.Facts || e.Owner != sample.Owner || e.Contested != sample.Contested || !sameHolders(e.Holders, sample.Holders):
		t.change(e, sample, now)
	case e.seen != t.scan-1: // listed again after a scan that missed it
		t.markDirty(e.Holders)
	}
	e.seen, e.lastSeen, e.missed, e.index = t.scan, now, false, len(t.now)
	t.now = append(t.now, e)
	return true
}

// change replaces the Socket of a sample that differs from it.
func (t *Tracker) change(e *tracked, sample *SocketSample, now time.Time) {
	before := e.Socket
	if !before.sameConnection(sample) || before.State.Ended() != sample.State.Ended() {
		t.remove(e)
		e.Socket = newSocket(sample, now, t.read[sample.ID.NetNS])
		t.add(e.Socket)
		return
	}
	e.Socket = before.after(sample, now)
	t.move(before, e.Socket)
}

// find returns the socket, nil if it is not known. Dumps keep their order as long as sockets
// stay, so most sockets follow the previous one and need no map lookup.
func (t *Tracker) find(id SocketID) *tracked {
	if t.next < len(t.last) && t.last[t.next].ID == id {
		t.next++
		return t.last[t.next-1]
	}
	e := t.sockets[id]
	if e != nil {
		t.next = e.index + 1
	}
	return e
}

// handleMissing marks or forgets the sockets that this scan did not list. It leaves those in
// namespaces that could not be read as they are.
func (t *Tracker) handleMissing(s *Snapshot) {
	confirmed := make(map[SocketID]bool, len(s.Confirmed))
	for _, id := range s.Confirmed {
		confirmed[id] = true
	}
	for id, e := range t.sockets {
		if e.seen == t.scan {
			continue
		}
		if e.seen == t.scan-1 {
			t.markDirty(e.Holders)
		}
		switch {
		case slices.Contains(s.UnreadableNetNS, id.NetNS):
		case !e.missed:
			e.missed = true
		case !e.State.Listed() || !confirmed[id]: // nothing can confirm a socket that is in no table
			t.remove(e)
			delete(t.sockets, id)
		}
	}
}

// noteRead remembers which namespaces this scan has read. It forgets those that are gone.
func (t *Tracker) noteRead(s *Snapshot) {
	read := make(map[NetNS]time.Time, len(s.NetNS))
	for _, ns := range s.UnreadableNetNS {
		if at, known := t.read[ns]; known {
			read[ns] = at
		}
	}
	for _, ns := range s.NetNS {
		read[ns] = s.Taken
	}
	t.read = read
}

// remove counts a socket that is gone.
func (t *Tracker) remove(e *tracked) {
	t.markDirty(e.Holders)
	if e.State.Ended() {
		t.durations.observe(e.Age(e.lastSeen).Seconds())
	}
	t.leave(e.leakedBy())
	t.routes.add(e.Socket, -1)
}

// inState returns the sockets in a state.
func inState(state State, sockets []*Socket) []*Socket {
	var list []*Socket
	for _, s := range sockets {
		if s.State == state {
			list = append(list, s)
		}
	}
	return list
}
