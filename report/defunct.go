package report

import (
	"fmt"
	"strconv"

	"closewait_exporter/closewait"
)

// The values of state of a socket in JSON; the table has the first as people write it.
const (
	stateCloseWait = "close_wait"
	stateDefunct   = "defunct"
)

// state writes that of a socket.
func state(s *closewait.Socket) string {
	if s.Defunct {
		return stateDefunct
	}
	return "CLOSE_WAIT"
}

// defunct counts the defunct sockets of the host, each once, and the processes that hold them.
func (r *Report) defunct() (sockets, processes int) {
	counted := map[closewait.SocketID]bool{}
	for _, h := range r.View.Holders {
		if h.Defunct.Len() > 0 {
			processes++
		}
		for _, s := range h.Defunct.Sockets {
			counted[s.ID] = true
		}
	}
	return len(counted), processes
}

// knownDefunct is a number of defunct sockets, nil where it is not known: an engine that does not see
// all of them cannot say that there are none.
func (r *Report) knownDefunct(n int) *int {
	if n == 0 && !r.View.AllDefunct {
		return nil
	}
	return &n
}

// defunctCell writes the number of the defunct sockets of a process, as far as it is known.
func (r *Report) defunctCell(h *closewait.Holder) string {
	n := r.knownDefunct(h.Defunct.Len())
	switch {
	case n == nil:
		return "-"
	case r.View.AllDefunct:
		return strconv.Itoa(*n)
	}
	return ">=" + strconv.Itoa(*n)
}

// aboutDefunct says what is known of the defunct sockets of the host: nothing where there are none.
func (r *Report) aboutDefunct() []string {
	n, processes := r.defunct()
	known := count(n, "socket")
	switch {
	case n == 0 && r.View.AllDefunct:
		return nil
	case n == 0:
		return []string{fmt.Sprintf("Of defunct sockets the %s scanner knows only those that it has seen in CLOSE_WAIT before.", r.Visibility.Scanner)}
	case !r.View.AllDefunct:
		known = "at least " + known
	}
	return []string{fmt.Sprintf("Defunct (reset or given up, in no socket table, a descriptor each): %s, held by %s.", known, count(processes, "process"))}
}
