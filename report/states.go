package report

import (
	"fmt"
	"strings"

	"closewait_exporter/closewait"
)

// allStates are the states in the order in which they are shown.
var allStates = append(append([]closewait.State{}, closewait.EndedStates...), closewait.OtherStates...)

// stateName is the state of a socket for a table.
func stateName(s closewait.State) string { return strings.ToUpper(s.String()) }

// stateCounts are numbers of sockets by state.
type stateCounts map[closewait.State]int

// statesOf counts the sockets that a process holds.
func statesOf(h *closewait.Holder) stateCounts {
	counts := stateCounts{}
	for _, s := range allStates {
		counts[s] = h.Ended.States[s] + h.Other.States[s]
	}
	return counts
}

// hostStates counts the sockets of the host, each once: held ones, unaccepted ones, and those in
// CLOSE_WAIT that no process is known to hold.
func (r *Report) hostStates() stateCounts {
	counts := stateCounts{closewait.CloseWait: len(r.View.Ownerless)}
	counted := map[closewait.SocketID]bool{}
	for _, h := range r.View.Holders {
		for _, kind := range []*closewait.Holding{&h.Ended, &h.Unaccepted, &h.Other} {
			for _, s := range allStates {
				counts[s] += kind.States[s]
			}
			if kind.Shared == 0 {
				continue
			}
			for _, s := range kind.Sockets {
				if counted[s.ID] {
					counts[s.State]--
				}
				counted[s.ID] = true
			}
		}
	}
	return counts
}

// StateCount is the number of sockets in a state, as text.
type StateCount struct{ State, Sockets string }

// HostStates are the numbers of sockets of the host by state, each counted once.
func (r *Report) HostStates() []StateCount { return r.seen().counts(r.hostStates(), allStates) }

// stateLines describe the sockets of the host in other states than CLOSE_WAIT, and the states that
// the scanner does not see.
func (r *Report) stateLines() []string {
	var lines []string
	counts := r.hostStates()
	if n := counts[closewait.Closed]; n > 0 {
		verb := "are"
		if n == 1 {
			verb = "is"
		}
		lines = append(lines, r.seen().atLeast(fmt.Sprintf("%d of them %s closed: over on both sides and not shown by ss, but the descriptor is still open.", n, verb), closewait.Closed))
	}
	var others []string
	for _, s := range closewait.OtherStates {
		if n := counts[s]; n > 0 {
			others = append(others, r.seen().count(n, s)+" "+otherWords[s])
		}
	}
	if len(others) > 0 {
		lines = append(lines, "Other sockets without a live connection: "+strings.Join(others, ", ")+".")
	}
	lines = append(lines, proxyLines(r.Listed)...)
	if missing := r.seen().missing(); missing != "" {
		lines = append(lines, "The "+r.Visibility.Scanner+" scanner does not see "+missing+".")
	}
	return lines
}

// otherWords describe sockets that have not ended.
var otherWords = map[closewait.State]string{
	closewait.FinWait2:    "in FIN_WAIT2 (shut down by the program, not by the peer)",
	closewait.Unconnected: "never connected",
}

// proxyLines name the processes that wait for their own clients.
func proxyLines(holders []*closewait.Holder) []string {
	var lines []string
	for _, h := range holders {
		if h.ForwardsHalfCloses() {
			lines = append(lines, fmt.Sprintf("%s %d holds %d in CLOSE_WAIT and %d in FIN_WAIT2: probably a proxy that waits for the other side of each pair, so look there.",
				Text(h.Comm), h.ID.PID, h.Ended.States[closewait.CloseWait], h.Other.States[closewait.FinWait2]))
		}
	}
	return lines
}
