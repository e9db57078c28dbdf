package policy

import (
	"fmt"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// reset makes a socket of some process defunct, for all its holders.
func (c *chaos) reset() {
	ids := c.ids()
	if len(ids) == 0 {
		return
	}
	h := c.alive[ids[c.rng.IntN(len(ids))]]
	if h.Held.Len() == 0 {
		return
	}
	s := *h.Held.Sockets[c.rng.IntN(h.Held.Len())]
	s.Defunct = true
	for _, id := range s.Holders {
		h := c.alive[id]
		if h == nil {
			continue
		}
		again := *h
		again.Held = closewait.NewHolding(slices.DeleteFunc(slices.Clone(h.Held.Sockets), func(other *closewait.Socket) bool { return other.ID == s.ID }))
		defunct := append(slices.Clone(h.Defunct.Sockets), &s)
		again.Defunct = closewait.NewHolding(defunct[max(0, len(defunct)-chaosSockets):])
		c.alive[id] = &again
	}
}

// checkDefunct makes sure that defunct sockets have no effect if no rule counts them.
func (c *chaos) checkDefunct(v *closewait.View, decisions []Decision) {
	if slices.ContainsFunc(c.policy.rules, func(r rules.Rule) bool { return r.When.IncludeDefunct }) {
		return
	}
	bare, _ := c.policy.Decide(withoutDefunct(v), c.state)
	if got, want := selected(decisions), selected(bare); got != want {
		c.t.Fatalf("decided\n%s\nand without the defunct sockets, which no rule counts,\n%s", got, want)
	}
}

// withoutDefunct returns the View with sockets in CLOSE_WAIT and their holders alone.
func withoutDefunct(v *closewait.View) *closewait.View {
	bare := *v
	bare.Holders = nil
	named := map[closewait.ProcessID]bool{}
	for _, h := range v.Holders {
		for _, s := range h.Held.Sockets {
			for _, id := range s.Holders {
				named[id] = true
			}
		}
	}
	for _, h := range v.Holders {
		if named[h.ID] || h.Defunct.Len() == 0 {
			again := *h
			again.Defunct = closewait.Holding{}
			bare.Holders = append(bare.Holders, &again)
		}
	}
	return &bare
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
