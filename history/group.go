package history

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// groupKey names a group. Any process can take any comm, so groups by comm are groups per user.
type groupKey struct {
	name string
	uid  uint32
}

func keyOf(p *closewait.Process) groupKey {
	key := groupKey{name: p.Group()}
	if p.GroupedByComm() {
		key.uid = p.UID
	}
	return key
}

// groupState is the memory of a group. The sockets of its points are the ended connections that
// have come since the group is known, less those that its processes have closed: what a process
// takes along when it ends has leaked nevertheless.
type groupState struct {
	series
	leaked     int
	since      time.Time
	lastSeen   time.Time             // the last View in which one of its processes held ended connections
	generation []closewait.ProcessID // the processes that did
	restarts   int
}

// groupSample is what a View says about a group.
type groupSample struct {
	growth int // ended connections that have come, less those that were closed
	live   []closewait.ProcessID
	born   time.Time // when the oldest of them started
}

func (s *groupSample) add(p *closewait.Process, sockets, growth int) {
	s.growth += growth
	if sockets == 0 {
		return
	}
	s.live = append(s.live, p.ID)
	if s.born.IsZero() || p.StartTime.Before(s.born) {
		s.born = p.StartTime
	}
}

// addGroups adds a point to the series of each group, and forgets those that have not leaked for
// long.
func (h *History) addGroups(samples map[groupKey]*groupSample) {
	for key, sample := range samples {
		g := h.groups[key]
		if g == nil {
			if len(sample.live) == 0 || len(h.groups) >= maxSeries && !h.forgetGroup() {
				continue
			}
			g = &groupState{since: h.taken}
			h.groups[key] = g
			sample.growth = 0 // nothing says when these came
		}
		g.leaked += sample.growth
		g.observe(sample, h.taken)
	}
	for key, g := range h.groups {
		if h.taken.Sub(g.lastSeen) > keep {
			delete(h.groups, key)
			continue
		}
		g.series.add(point{at: h.taken, sockets: g.leaked})
	}
}

// observe notes which processes of the group leak, and whether it was restarted: all of them
// started after the last View in which others leaked.
func (g *groupState) observe(sample *groupSample, now time.Time) {
	if len(sample.live) == 0 {
		return
	}
	again := slices.ContainsFunc(sample.live, func(id closewait.ProcessID) bool { return slices.Contains(g.generation, id) })
	if len(g.generation) > 0 && !again && sample.born.After(g.lastSeen) {
		g.restarts++
	}
	g.generation, g.lastSeen = sample.live, now
}

// forgetGroup makes room by forgetting the group that has not leaked for longest. It returns false
// if all leak now.
func (h *History) forgetGroup() bool {
	var oldest groupKey
	for key, g := range h.groups {
		if o := h.groups[oldest]; g.lastSeen.Before(h.taken) && (o == nil || g.lastSeen.Before(o.lastSeen)) {
			oldest = key
		}
	}
	if h.groups[oldest] == nil {
		return false
	}
	delete(h.groups, oldest)
	return true
}

// GroupTrend is where a group is heading, whatever becomes of its processes.
type GroupTrend struct {
	Sockets  closewait.Growth // of its ended connections, those of processes that have ended included
	Restarts int              // how often it has leaked again after a restart
	Since    time.Time        // when it was first seen to leak
}

// Group returns the GroupTrend of the group of a process, the zero GroupTrend if it is not known.
func (h *History) Group(p *closewait.Process) GroupTrend {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[keyOf(p)]
	if g == nil {
		return GroupTrend{}
	}
	return GroupTrend{
		Sockets:  g.growth(func(p point) (float64, bool) { return float64(p.sockets), true }),
		Restarts: g.restarts,
		Since:    g.since,
	}
}
