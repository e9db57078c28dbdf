package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/checksum"
)

// savedVersion changes when another exporter could misread the file.
const savedVersion = 1

// savedKeyword is the key of the content in the file.
const savedKeyword = "history"

// savedHistory is the content of the file: durations before it was saved. At most 200 processes and
// 200 groups with 60 points each make 1 MB.
type savedHistory struct {
	Version   int            `json:"version"`
	Saved     time.Time      `json:"saved"`
	BootID    string         `json:"boot_id"`
	Uptime    time.Duration  `json:"uptime_ns"`
	ViewAgo   time.Duration  `json:"view_ago_ns"`
	Processes []savedProcess `json:"processes"`
	Groups    []savedGroup   `json:"groups"`
}

type savedProcess struct {
	savedKey
	savedSeries
	PID     int           `json:"pid"`
	Start   uint64        `json:"start"`
	Held    int           `json:"held"`
	SeenAgo time.Duration `json:"seen_ago_ns"`
}

type savedGroup struct {
	savedKey
	savedSeries
	Leaked     int           `json:"leaked"`
	SinceAgo   time.Duration `json:"since_ago_ns"`
	SeenAgo    time.Duration `json:"seen_ago_ns"`
	Generation []savedID     `json:"generation"`
	Restarts   int           `json:"restarts"`
}

type savedKey struct {
	Group string `json:"group"`
	UID   uint32 `json:"uid"`
}

type savedID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// savedSeries has one element for each point in each list, oldest first. Groups have no
// descriptors.
type savedSeries struct {
	AgoMS   []int64  `json:"ago_ms"`
	Sockets []int    `json:"sockets"`
	FDs     []uint64 `json:"fds,omitempty"`
	Limit   []uint64 `json:"limit,omitempty"`
}

// LastView is the time of the last View that was added; zero if there is none.
func (h *History) LastView() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken
}

// Encode returns the History as a file, at the time now.
func (h *History) Encode(now time.Time, boot closewait.Boot) ([]byte, error) {
	return checksum.Encode(savedKeyword, h.saved(now, boot))
}

func (h *History) saved(now time.Time, boot closewait.Boot) *savedHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	ago := func(at time.Time) time.Duration { return max(now.Sub(at), 0) }
	s := &savedHistory{Version: savedVersion, Saved: now.UTC(), BootID: boot.ID, Uptime: boot.Uptime, ViewAgo: ago(h.taken)}
	for id, p := range h.processes {
		s.Processes = append(s.Processes, savedProcess{savedKey(p.group.saved()), p.series.saved(now, true), id.PID, id.Start, p.sockets, ago(p.lastSeen)})
	}
	for key, g := range h.groups {
		of := savedGroup{savedKey: key.saved(), savedSeries: g.series.saved(now, false), Leaked: g.leaked, SinceAgo: ago(g.since), SeenAgo: ago(g.lastSeen), Restarts: g.restarts}
		for _, id := range g.generation {
			of.Generation = append(of.Generation, savedID(id))
		}
		s.Groups = append(s.Groups, of)
	}
	return s
}

func (k groupKey) saved() savedKey { return savedKey{k.name, k.uid} }

func (s series) saved(now time.Time, fds bool) (of savedSeries) {
	for i := range s {
		of.AgoMS = append(of.AgoMS, max(now.Sub(s[i].at).Milliseconds(), 0))
		of.Sockets = append(of.Sockets, s[i].sockets)
		if fds {
			of.FDs, of.Limit = append(of.FDs, s[i].fds), append(of.Limit, s[i].limit)
		}
	}
	return of
}

// Decode returns the History of a file, read at the time now. After a reboot of the host it has the
// groups only, because its process ids mean nothing then.
func Decode(data []byte, now time.Time, boot closewait.Boot) (*History, error) {
	var s savedHistory
	if err := checksum.Decode(savedKeyword, data, &s); err != nil {
		return nil, err
	}
	if s.Version != savedVersion {
		return nil, fmt.Errorf("the file is of version %d, this program reads version %d", s.Version, savedVersion)
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", checksum.ErrDamaged, err)
	}
	return s.at(now.Add(-s.elapsed(now, boot)), s.BootID == boot.ID), nil
}

// elapsed is the time since the file was written. How long the host was off is known from its wall
// clock only, which may have been set meanwhile.
func (s *savedHistory) elapsed(now time.Time, boot closewait.Boot) time.Duration {
	if s.BootID == boot.ID {
		return max(boot.Uptime-s.Uptime, 0)
	}
	return max(now.Sub(s.Saved), boot.Uptime)
}

func (s *savedHistory) validate() error {
	if len(s.Processes) > maxSeries || len(s.Groups) > maxSeries || s.ViewAgo < 0 {
		return fmt.Errorf("it has %d processes and %d groups, and a View %s ago", len(s.Processes), len(s.Groups), s.ViewAgo)
	}
	for i := range s.Processes {
		if p := &s.Processes[i]; p.PID <= 0 || p.Held < 0 || p.SeenAgo < s.ViewAgo || len(p.FDs) != len(p.AgoMS) || len(p.Limit) != len(p.AgoMS) || !p.valid() {
			return fmt.Errorf("the history of process %d cannot be right", p.PID)
		}
	}
	for i := range s.Groups {
		if g := &s.Groups[i]; g.Restarts < 0 || g.SinceAgo < g.SeenAgo || g.SeenAgo < s.ViewAgo || !g.valid() {
			return fmt.Errorf("the history of group %q cannot be right", g.Group)
		}
	}
	return nil
}

// valid reports whether there are points, in their order and without an age or a number that could
// overflow.
func (s *savedSeries) valid() bool {
	n := len(s.AgoMS)
	if n == 0 || n > maxPoints || len(s.Sockets) != n || s.AgoMS[0] > math.MaxInt64/int64(2*time.Millisecond) {
		return false
	}
	descending := slices.IsSortedFunc(s.AgoMS, func(a, b int64) int { return cmp.Compare(b, a) })
	return descending && s.AgoMS[n-1] >= 0 && !slices.ContainsFunc(s.Sockets, func(n int) bool { return n > math.MaxInt32 || n < math.MinInt32 })
}

// at returns the History that was saved at a time; with its processes only in the boot in which it
// was saved.
func (s *savedHistory) at(saved time.Time, sameBoot bool) *History {
	h := New()
	h.taken = saved.Add(-s.ViewAgo)
	for i := range s.Processes {
		if p := &s.Processes[i]; sameBoot {
			h.processes[closewait.ProcessID{PID: p.PID, Start: p.Start}] = &processState{
				series: p.at(saved), group: groupKey{p.Group, p.UID}, sockets: p.Held, lastSeen: saved.Add(-p.SeenAgo),
			}
		}
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		state := &groupState{series: g.at(saved), leaked: g.Leaked, since: saved.Add(-g.SinceAgo), lastSeen: saved.Add(-g.SeenAgo), restarts: g.Restarts}
		for _, id := range g.Generation {
			state.generation = append(state.generation, closewait.ProcessID(id))
		}
		h.groups[groupKey{g.Group, g.UID}] = state
	}
	return h
}

func (s *savedSeries) at(saved time.Time) (points series) {
	for i := range s.AgoMS {
		p := point{at: saved.Add(-time.Duration(s.AgoMS[i]) * time.Millisecond), sockets: s.Sockets[i]}
		if len(s.FDs) > 0 {
			p.fds, p.limit = s.FDs[i], s.Limit[i]
		}
		points = append(points, p)
	}
	return points
}
