package policy

import (
	"fmt"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// reset makes a socket of some process closed, for all its holders.
func (c *chaos) reset() {
	ids := c.ids()
	if len(ids) == 0 {
		return
	}
	h := c.alive[ids[c.rng.IntN(len(ids))]]
	if h.Ended.Len() == 0 {
		return
	}
	s := *h.Ended.Sockets[c.rng.IntN(h.Ended.Len())]
	s.State = closewait.Closed
	for _, id := range s.Holders {
		h := c.alive[id]
		if h == nil {
			continue
		}
		again := *h
		rest := slices.DeleteFunc(slices.Clone(h.Ended.Sockets), func(other *closewait.Socket) bool { return other.ID == s.ID })
		again.Ended = closewait.NewHolding(append(rest, &s))
		c.alive[id] = &again
	}
}

// checkClosed makes sure that closed sockets have no effect if no rule counts them.
func (c *chaos) checkClosed(v *closewait.View, decisions []Decision) {
	if slices.ContainsFunc(c.policy.rules, func(r rules.Rule) bool { return r.When.States.Has(closewait.Closed) }) {
		return
	}
	bare, _ := c.policy.Decide(withoutClosed(v), c.state)
	if got, want := selected(decisions), selected(bare); got != want {
		c.t.Fatalf("decided\n%s\nand without the closed sockets, which no rule counts,\n%s", got, want)
	}
}

// withoutClosed returns the View with sockets in CLOSE_WAIT and their holders alone.
func withoutClosed(v *closewait.View) *closewait.View {
	bare := *v
	bare.Holders = nil
	named := map[closewait.ProcessID]bool{}
	for _, h := range v.Holders {
		for _, s := range inCloseWait(h) {
			for _, id := range s.Holders {
				named[id] = true
			}
		}
	}
	for _, h := range v.Holders {
		if named[h.ID] || h.Ended.States[closewait.Closed] == 0 {
			again := *h
			again.Ended = closewait.NewHolding(inCloseWait(h))
			bare.Holders = append(bare.Holders, &again)
		}
	}
	return &bare
}

func inCloseWait(h *closewait.Holder) []*closewait.Socket {
	return slices.DeleteFunc(slices.Clone(h.Ended.Sockets), func(s *closewait.Socket) bool { return s.State == closewait.Closed })
}

// selected describes the decisions about processes that passed all checks.
func selected(decisions []Decision) (text string) {
	for i := range decisions {
		d := &decisions[i]
		if d.check < len(checks) || d.Process == nil {
			continue
		}
		text += fmt.Sprint(d.ID(), " ", d.Label, " with ", len(d.With), " for")
		for _, s := range d.Evidence {
			text += fmt.Sprint(" ", s.ID.Cookie)
		}
		text += "\n"
	}
	return text
}
