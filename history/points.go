package history

import (
	"time"

	"closewait_exporter/closewait"
)

// Point is what a View said about a process.
type Point struct {
	At      time.Time
	Sockets int    // ended connections
	FDs     uint64 // open descriptors; meaningless if Limit is 0
	Limit   uint64 // of descriptors; closewait.UnlimitedFDs, or 0 if one of the two is not known
}

// Points returns what is remembered of a process, oldest first: at most 60 points.
func (h *History) Points(id closewait.ProcessID) []Point {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.processes[id]
	if p == nil {
		return nil
	}
	points := make([]Point, len(p.series))
	for i, of := range p.series {
		points[i] = Point{At: of.at, Sockets: of.sockets, FDs: of.fds, Limit: of.limit}
	}
	return points
}
