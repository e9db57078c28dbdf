package history

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"closewait_exporter/closewait"
)

// maxSeries is the maximum number of processes, and of groups, that are remembered: the first of a
// View, which are the worst. With maxPoints it bounds the memory to about 1.5 MB.
const maxSeries = 200

// History is safe for concurrent use.
type History struct {
	mu        sync.Mutex
	taken     time.Time // of the last View
	processes map[closewait.ProcessID]*processState
	groups    map[groupKey]*groupState
}

// processState is the memory of a process.
type processState struct {
	series
	group    groupKey
	sockets  int       // ended connections in the last View that named it
	lastSeen time.Time // the time of that View
}

// New returns an empty History.
func New() *History {
	return &History{processes: map[closewait.ProcessID]*processState{}, groups: map[groupKey]*groupState{}}
}

// Add remembers a View. It ignores Views that are not newer than the last one, so that everyone who
// gets a View may add it.
func (h *History) Add(v *closewait.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !v.Taken.After(h.taken) {
		return
	}
	last := h.taken
	h.taken = v.Taken
	groups := map[groupKey]*groupSample{}
	for i, holder := range v.Holders {
		if i >= maxSeries {
			delete(h.processes, holder.ID) // without a gap in its series
			continue
		}
		h.addProcess(holder, last, groups)
	}
	h.addAbsentProcesses()
	h.addGroups(groups)
}

// addProcess adds a point to the series of a process, and its part to the sample of its group. What
// a process already had when it became known is no growth, unless it has started since the last
// View.
func (h *History) addProcess(holder *closewait.Holder, last time.Time, groups map[groupKey]*groupSample) {
	p := h.processes[holder.ID]
	if p == nil {
		p = &processState{group: keyOf(&holder.Process)}
		if holder.StartTime.Before(last) {
			p.sockets = holder.Ended.Len()
		}
		h.processes[holder.ID] = p
	}
	sample := groups[p.group]
	if sample == nil {
		sample = &groupSample{}
		groups[p.group] = sample
	}
	sockets := holder.Ended.Len()
	sample.add(&holder.Process, sockets, sockets-p.sockets)
	p.sockets, p.lastSeen = sockets, h.taken
	point := point{at: h.taken, sockets: sockets}
	if holder.FDsKnown && holder.MaxFDs != 0 {
		point.fds, point.limit = holder.OpenFDs, holder.MaxFDs
	}
	p.series.add(point)
}

// addAbsentProcesses gives the processes that the View does not name a point without ended
// connections, and forgets those that it has not named for long.
func (h *History) addAbsentProcesses() {
	var absent []closewait.ProcessID
	for id, p := range h.processes {
		switch {
		case p.lastSeen.Equal(h.taken):
		case h.taken.Sub(p.lastSeen) > Window:
			delete(h.processes, id)
		default:
			absent = append(absent, id)
			p.series.add(point{at: h.taken})
		}
	}
	slices.SortFunc(absent, func(a, b closewait.ProcessID) int {
		return cmp.Or(h.processes[a].lastSeen.Compare(h.processes[b].lastSeen), cmp.Compare(a.PID, b.PID))
	})
	for len(h.processes) > maxSeries {
		delete(h.processes, absent[0])
		absent = absent[1:]
	}
}

// Trend is where a process is heading.
type Trend struct {
	Sockets closewait.Growth // of its ended connections: the speed of the leak
	FDs     closewait.Growth // of its open descriptors

	// Left is the time after which its descriptors have run out if they continue to grow: the
	// definition of the alert. It is meaningless if RunsOut is false.
	Left    time.Duration
	RunsOut bool
}

// Process returns the Trend of a process, the zero Trend if it is not known.
func (h *History) Process(id closewait.ProcessID) Trend {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.processes[id]
	if p == nil {
		return Trend{}
	}
	t := Trend{
		Sockets: p.growth(func(p point) (float64, bool) { return float64(p.sockets), true }),
		FDs:     p.growth(func(p point) (float64, bool) { return float64(p.fds), p.limit != 0 }),
	}
	now := p.series[len(p.series)-1]
	t.Left, t.RunsOut = t.FDs.TimeLeft(now.fds, now.limit)
	return t
}
