package condition

import (
	"fmt"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/document"
)

// states are the states of the sockets that count.
var states = Condition{
	Key: "states",
	Read: func(s *document.Section, w *When) {
		w.States = closewait.NewStateSet(document.List(s, "states", document.OneOf(allStates...))...)
		if w.States == 0 && !s.Refused("states") {
			w.States = defaultStates(s.Has("fds"))
		}
	},
	Describe: func(w *When) string {
		if w.States == defaultStates(w.FDs != (Threshold{})) {
			return ""
		}
		return w.States.String()
	},
	Warn: func(s *document.Section, c Context) {
		warnGoPrograms(s, c)
		without := c.When.States &^ closewait.NewStateSet(closewait.CloseWait)
		if without != 0 && c.CanEnd && !s.Has("fds") {
			s.Refuse("states", "in a rule that can end a process, "+without.String()+" needs fds, such as fds: 80%: one network failure closes all idle connections of a healthy pool")
		}
	},
}

// goKeepalive is how long a leaked socket of a Go program stays in CLOSE_WAIT at least. Go arms a
// keepalive of 15 seconds on every connection, and the peer's end is gone after 60 (FIN_WAIT2), so
// a probe ends the connection after 60 to 75 seconds.
const goKeepalive = time.Minute

// warnGoPrograms warns about a rule that counts only sockets in CLOSE_WAIT, for longer than those
// of a Go program stay in that state.
func warnGoPrograms(s *document.Section, c Context) {
	needed := c.When.Age + c.When.For
	if c.When.States.Has(closewait.Closed) || c.NotGo || needed <= goKeepalive || s.Broken() || s.Refused("states") {
		return
	}
	s.Warn("age", fmt.Sprintf("the rule can never match a Go program: after 60 to 75 seconds a keepalive closes its leaked sockets, "+
		"and age and for need %s: add fds, and closed to states, unless match covers no Go program", needed))
}

var allStates = slices.Concat(closewait.EndedStates, closewait.OtherStates)

// defaultStates are the states that count in a rule without the key. A rule with fds acts on
// processes that run out of descriptors, whatever state their sockets are in.
func defaultStates(fds bool) closewait.StateSet {
	if fds {
		return closewait.NewStateSet(closewait.EndedStates...)
	}
	return closewait.NewStateSet(closewait.CloseWait)
}

// CountsOthers reports whether sockets count whose connection has not ended.
func (w *When) CountsOthers() bool {
	return w.States&closewait.NewStateSet(closewait.OtherStates...) != 0
}

// Candidates is the number of held sockets that can count if the conditions on single sockets hold.
func (w *When) Candidates(h *closewait.Holder) (n int) {
	for _, state := range allStates {
		if w.States.Has(state) {
			n += h.Ended.States[state] + h.Other.States[state]
		}
	}
	return n
}
