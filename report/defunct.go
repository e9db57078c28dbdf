package report

import (
	"fmt"
	"strconv"

	"closewait_exporter/closewait"
)

// The values of state in JSON. The table writes the first in capitals.
const (
	stateCloseWait = "close_wait"
	stateDefunct   = "defunct"
)

// state is the state of a socket for the table.
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

// knownDefunct returns a number of defunct sockets, nil if it is not known: a scanner that does
// not see all of them cannot report that there are none.
func (r *Report) knownDefunct(n int) *int {
	if n == 0 && !r.View.AllDefunct {
		return nil
	}
	return &n
}

// defunctCell formats the number of defunct sockets of a process: a count, a lower bound or a dash.
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

// defunctLines describes the defunct sockets of the host. There are no lines if none exists.
func (r *Report) defunctLines() []string {
	n, processes := r.defunct()
	known := Count(n, "defunct socket")
	switch {
	case n == 0 && r.View.AllDefunct:
		return nil
	case n == 0:
		return []string{fmt.Sprintf("The %s scanner finds only defunct sockets that it has seen in CLOSE_WAIT before.", r.Visibility.Scanner)}
	case !r.View.AllDefunct:
		known = "At least " + known
	}
	return []string{fmt.Sprintf("%s held by %s: connection reset or timed out, descriptor still open.", known, Count(processes, "process"))}
}
