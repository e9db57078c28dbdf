package report

import (
	"strconv"
	"strings"

	"closewait_exporter/closewait"
)

// seenStates are the states in which the scanner sees all held sockets. Of others it knows some
// sockets at most.
type seenStates closewait.StateSet

// seen returns the states of this report.
func (r *Report) seen() seenStates { return seenStates(r.View.Complete) }

// all reports whether the scanner sees all held sockets in these states.
func (seen seenStates) all(states ...closewait.State) bool {
	for _, s := range states {
		if !closewait.StateSet(seen).Has(s) {
			return false
		}
	}
	return true
}

// known returns a number of sockets in a state, nil if it is not known: a scanner that does not
// see all of them cannot report that there are none.
func (seen seenStates) known(s closewait.State, n int) *int {
	if n == 0 && !seen.all(s) {
		return nil
	}
	return &n
}

// count formats a number of sockets in some states: a number, a lower bound, or a dash if it is not
// known.
func (seen seenStates) count(n int, states ...closewait.State) string {
	switch {
	case seen.all(states...):
		return strconv.Itoa(n)
	case n == 0:
		return "-"
	}
	return ">=" + strconv.Itoa(n)
}

// atLeast begins a sentence with a number of sockets in some states, which is a lower bound if the
// scanner does not see all of them.
func (seen seenStates) atLeast(text string, states ...closewait.State) string {
	if seen.all(states...) {
		return text
	}
	return "At least " + text
}

// counts formats numbers of sockets by state.
func (seen seenStates) counts(counts stateCounts, states []closewait.State) []StateCount {
	var list []StateCount
	for _, s := range states {
		list = append(list, StateCount{s.String(), seen.count(counts[s], s)})
	}
	return list
}

// missing describes the sockets that the scanner does not see.
func (seen seenStates) missing() string {
	var list []string
	for _, s := range []closewait.State{closewait.FinWait2, closewait.Unconnected, closewait.Closed, closewait.CloseWait} {
		if !seen.all(s) {
			list = append(list, unseenWords[s])
		}
	}
	return enumerate(list)
}

// unseenWords describe sockets that a scanner does not see.
var unseenWords = map[closewait.State]string{
	closewait.CloseWait:   "some sockets in CLOSE_WAIT",
	closewait.Closed:      "closed sockets that it has not seen in another state before",
	closewait.FinWait2:    "sockets in FIN_WAIT2",
	closewait.Unconnected: "sockets that were never connected",
}

// enumerate joins alternatives.
func enumerate(list []string) string {
	if len(list) <= 1 {
		return strings.Join(list, "")
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + ", or " + list[last]
}
