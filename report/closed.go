package report

import (
	"fmt"
	"strconv"
	"strings"

	"closewait_exporter/closewait"
)

// state is the state of a socket for the table.
func state(s *closewait.Socket) string { return strings.ToUpper(s.State.String()) }

// closed counts the closed sockets of the host, each once, and the processes that hold them.
func (r *Report) closed() (sockets, processes int) {
	counted := map[closewait.SocketID]bool{}
	for _, h := range r.View.Holders {
		if h.Ended.States[closewait.Closed] > 0 {
			processes++
		}
		for _, s := range h.Ended.Sockets {
			if s.State == closewait.Closed {
				counted[s.ID] = true
			}
		}
	}
	return len(counted), processes
}

// knownClosed returns a number of closed sockets, nil if it is not known: a scanner that does
// not see all of them cannot report that there are none.
func (r *Report) knownClosed(n int) *int {
	if n == 0 && !r.View.Complete.Has(closewait.Closed) {
		return nil
	}
	return &n
}

// closedCell formats the number of closed sockets of a process: a count, a lower bound or a dash.
func (r *Report) closedCell(h *closewait.Holder) string {
	n := r.knownClosed(h.Ended.States[closewait.Closed])
	switch {
	case n == nil:
		return "-"
	case r.View.Complete.Has(closewait.Closed):
		return strconv.Itoa(*n)
	}
	return ">=" + strconv.Itoa(*n)
}

// closedLines describes the closed sockets of the host. There are no lines if none exists.
func (r *Report) closedLines() []string {
	n, processes := r.closed()
	known := Count(n, "closed socket")
	switch {
	case n == 0 && r.View.Complete.Has(closewait.Closed):
		return nil
	case n == 0:
		return []string{fmt.Sprintf("The %s scanner finds only closed sockets that it has seen in CLOSE_WAIT before.", r.Visibility.Scanner)}
	case !r.View.Complete.Has(closewait.Closed):
		known = "At least " + known
	}
	return []string{fmt.Sprintf("%s held by %s: connection reset or timed out, descriptor still open.", known, Count(processes, "process"))}
}
