package report

import (
	"fmt"
	"slices"
	"strconv"
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
func (r *Report) HostStates() []StateCount {
	var list []StateCount
	counts := r.hostStates()
	for _, s := range allStates {
		list = append(list, StateCount{s.String(), r.count(counts[s], s)})
	}
	return list
}

// sees reports whether the scanner sees all held sockets in these states.
func (r *Report) sees(states ...closewait.State) bool {
	for _, s := range states {
		if !r.View.Complete.Has(s) {
			return false
		}
	}
	return true
}

// known returns a number of sockets in a state, nil if it is not known: a scanner that does not
// see all of them cannot report that there are none.
func (r *Report) known(s closewait.State, n int) *int {
	if n == 0 && !r.sees(s) {
		return nil
	}
	return &n
}

// count formats a number of sockets in some states: a number, a lower bound, or a dash if it is not
// known.
func (r *Report) count(n int, states ...closewait.State) string {
	switch {
	case r.sees(states...):
		return strconv.Itoa(n)
	case n == 0:
		return "-"
	}
	return ">=" + strconv.Itoa(n)
}

// otherStates counts the sockets of a process that have not ended, by state.
func (r *Report) otherStates(h *closewait.Holder) []StateCount {
	var counts []StateCount
	for _, s := range closewait.OtherStates {
		if n := h.Other.States[s]; n > 0 {
			counts = append(counts, StateCount{s.String(), r.count(n, s)})
		}
	}
	return counts
}

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
		lines = append(lines, r.atLeast(fmt.Sprintf("%d of them %s closed: over on both sides and not shown by ss, but the descriptor is still open.", n, verb), closewait.Closed))
	}
	var others []string
	for _, s := range closewait.OtherStates {
		if n := counts[s]; n > 0 {
			others = append(others, r.count(n, s)+" "+otherWords[s])
		}
	}
	if len(others) > 0 {
		lines = append(lines, "Other sockets without a live connection: "+strings.Join(others, ", ")+".")
	}
	lines = append(lines, r.proxyLines()...)
	if unseen := r.unseenStates(); len(unseen) > 0 {
		lines = append(lines, "The "+r.Visibility.Scanner+" scanner does not see "+enumerate(unseen)+".")
	}
	return lines
}

// unseenStates are the sockets that the scanner does not see, in words.
func (r *Report) unseenStates() (unseen []string) {
	for _, s := range slices.Backward(allStates) {
		if !r.sees(s) {
			unseen = append(unseen, unseenWords[s])
		}
	}
	return unseen
}

// enumerate joins alternatives.
func enumerate(list []string) string {
	last := len(list) - 1
	if last == 0 {
		return list[0]
	}
	return strings.Join(list[:last], ", ") + " or " + list[last]
}

// otherWords describe sockets that have not ended.
var otherWords = map[closewait.State]string{
	closewait.FinWait2:    "in FIN_WAIT2 (shut down by the program, not by the peer)",
	closewait.Unconnected: "never connected",
}

// unseenWords describe sockets that a scanner does not see.
var unseenWords = map[closewait.State]string{
	closewait.CloseWait:   "some sockets in CLOSE_WAIT",
	closewait.Closed:      "closed sockets that it has not seen in CLOSE_WAIT before",
	closewait.FinWait2:    "sockets in FIN_WAIT2",
	closewait.Unconnected: "sockets that were never connected",
}

// proxyLines name the listed processes that wait for their own clients.
func (r *Report) proxyLines() []string {
	var lines []string
	for _, h := range r.Listed {
		if h.ForwardsHalfCloses() {
			lines = append(lines, fmt.Sprintf("%s %d holds %d in CLOSE_WAIT and %d in FIN_WAIT2: probably a proxy that waits for the other side of each pair, so look there.",
				Text(h.Comm), h.ID.PID, h.Ended.States[closewait.CloseWait], h.Other.States[closewait.FinWait2]))
		}
	}
	return lines
}

// atLeast begins a sentence with a number of sockets in some states, which is a lower bound if the
// scanner does not see all of them.
func (r *Report) atLeast(text string, states ...closewait.State) string {
	if r.sees(states...) {
		return text
	}
	return "At least " + text
}
