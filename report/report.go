package report

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/history"
)

// Report is a View together with what it takes to show it to people.
type Report struct {
	View       *closewait.View
	Listed     []*closewait.Holder // as closewait.Listed returns them, worst first
	MinAge     time.Duration
	Visibility closewait.Visibility
	Selection  Selection
	Rules      Rules
	Commands   Commands                                 // nil: command lines are not shown
	Verdicts   map[closewait.ProcessID]diagnose.Verdict // of the worst processes, as far as they are known
	History    Trends                                   // of earlier Views and this one; nil: there is none, and trends are not shown
	decoded    *decoded                                 // nil: the Report was made of a scan
}

// Trends knows where processes and their groups are heading. Package history implements it.
type Trends interface {
	Process(id closewait.ProcessID) history.Trend
	Group(p *closewait.Process) history.GroupTrend
	Points(id closewait.ProcessID) []history.Point
}

// Rules names the rules of the reaper that match a process; nil where there is no rules file.
type Rules func(*closewait.Process) []string

// hidden are the processes that are not listed.
type hidden struct {
	processes int // whose ended and unaccepted sockets are too young
	sockets   int // ended and unaccepted, that only these processes hold, each counted once
	minor     int // processes with few sockets in other states alone
}

func countHidden(v *closewait.View, listed []*closewait.Holder) hidden {
	var count hidden
	shown := make(map[closewait.ProcessID]bool, len(listed))
	for _, h := range listed {
		shown[h.ID] = true
	}
	counted := map[closewait.SocketID]bool{}
	for _, h := range v.Holders {
		if shown[h.ID] {
			continue
		}
		if h.Ended.Len()+h.Unaccepted.Len() == 0 {
			count.minor++
			continue
		}
		count.processes++
		for _, s := range slices.Concat(h.Ended.Sockets, h.Unaccepted.Sockets) {
			if !counted[s.ID] && !heldBy(s, shown) {
				counted[s.ID] = true
				count.sockets++
			}
		}
	}
	return count
}

// Ownerless are the sockets at least MinAge old without a known holder.
func (r *Report) Ownerless() []*closewait.Socket {
	if r.decoded != nil {
		return r.View.Ownerless
	}
	var old []*closewait.Socket
	for _, s := range r.View.Ownerless {
		if s.Age(r.View.Taken) >= r.MinAge {
			old = append(old, s)
		}
	}
	return old
}

// sockets returns the sockets of the rows and, if all processes are selected, the ownerless
// sockets, each once, oldest first.
func (r *Report) sockets() []*closewait.Socket {
	var all []*closewait.Socket
	if r.Selection.all() {
		all = r.Ownerless()
	}
	known := map[closewait.SocketID]bool{}
	for _, row := range r.Rows() {
		for _, s := range socketsOf(row.Holder) {
			if !known[s.ID] {
				known[s.ID] = true
				all = append(all, s)
			}
		}
	}
	sorted := closewait.NewHolding(all)
	return sorted.Sockets
}

// processes returns all holders by identity, including those that are not listed.
func (r *Report) processes() map[closewait.ProcessID]*closewait.Process {
	byID := make(map[closewait.ProcessID]*closewait.Process, len(r.View.Holders))
	for _, h := range r.View.Holders {
		byID[h.ID] = &h.Process
	}
	return byID
}

// socketsOf returns a new slice of all sockets of a process, those that have not ended last.
func socketsOf(h *closewait.Holder) []*closewait.Socket {
	return slices.Concat(h.Ended.Sockets, h.Unaccepted.Sockets, h.Other.Sockets)
}

func heldBy(s *closewait.Socket, processes map[closewait.ProcessID]bool) bool {
	return slices.ContainsFunc(s.Holders, func(id closewait.ProcessID) bool { return processes[id] })
}
