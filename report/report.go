package report

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// Report is what there is to show.
type Report struct {
	View       *closewait.View
	Listed     []*closewait.Holder // with a socket at least MinAge old, worst first
	MinAge     time.Duration
	Visibility closewait.Visibility
	Rules      Rules
}

// Rules names the rules of the reaper that match a process; nil where there is no rules file.
type Rules func(*closewait.Process) []string

// hidden counts the processes that are too young to be listed, and the sockets that for this reason
// no row tells of, each once.
func (r *Report) hidden() (processes, sockets int) {
	shown := make(map[closewait.ProcessID]bool, len(r.Listed))
	for _, h := range r.Listed {
		shown[h.ID] = true
	}
	counted := map[closewait.SocketID]bool{}
	for _, h := range r.View.Holders {
		if shown[h.ID] {
			continue
		}
		processes++
		for _, s := range socketsOf(h) {
			if !counted[s.ID] && !heldBy(s, shown) {
				counted[s.ID] = true
				sockets++
			}
		}
	}
	return processes, sockets
}

// Ownerless are the sockets at least MinAge old whose holder nobody knows.
func (r *Report) Ownerless() []*closewait.Socket {
	var old []*closewait.Socket
	for _, s := range r.View.Ownerless {
		if s.Age(r.View.Taken) >= r.MinAge {
			old = append(old, s)
		}
	}
	return old
}

// sockets are those of the processes listed and the ownerless ones, each once, oldest first.
func (r *Report) sockets() []*closewait.Socket {
	all := r.Ownerless()
	known := map[closewait.SocketID]bool{}
	for _, h := range r.Listed {
		for _, s := range socketsOf(h) {
			if !known[s.ID] {
				known[s.ID] = true
				all = append(all, s)
			}
		}
	}
	sorted := closewait.NewHolding(all)
	return sorted.Sockets
}

// processes are the holders by identity, those that are not listed too.
func (r *Report) processes() map[closewait.ProcessID]*closewait.Process {
	byID := make(map[closewait.ProcessID]*closewait.Process, len(r.View.Holders))
	for _, h := range r.View.Holders {
		byID[h.ID] = &h.Process
	}
	return byID
}

// socketsOf returns a new slice of all sockets of a process, the defunct ones last.
func socketsOf(h *closewait.Holder) []*closewait.Socket {
	return slices.Concat(h.Held.Sockets, h.Unaccepted.Sockets, h.Defunct.Sockets)
}

func heldBy(s *closewait.Socket, processes map[closewait.ProcessID]bool) bool {
	return slices.ContainsFunc(s.Holders, func(id closewait.ProcessID) bool { return processes[id] })
}
