package condition

import (
	"slices"

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
		without := c.When.States &^ closewait.NewStateSet(closewait.CloseWait)
		if without != 0 && c.CanEnd && !s.Has("fds") {
			s.Refuse("states", "in a rule that can end a process, "+without.String()+" needs fds, such as fds: 80%: one network failure closes all idle connections of a healthy pool")
		}
	},
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
