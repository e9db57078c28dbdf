package reaper

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
)

// glance is a round: what is seen, what ended before it, and what is decided.
type glance struct {
	view *closewait.View
	want string // rule/pid label, or rule label
	why  string // part of the reason of the first decision
}

func describe(decisions []Decision) string {
	var text []string
	for _, d := range decisions {
		who := d.Rule.Name
		if d.Process != nil {
			who += fmt.Sprintf("/%d", d.Process.ID.PID)
		}
		who += " " + d.Label.String()
		for _, p := range d.With {
			who += fmt.Sprintf(" with %d", p.ID.PID)
		}
		text = append(text, who)
	}
	return strings.Join(text, ", ")
}

func play(t *testing.T, p *Policy, glances []glance) State {
	t.Helper()
	var s State
	for i, g := range glances {
		var decisions []Decision
		decisions, s = p.Decide(g.view, s)
		if got := describe(decisions); got != g.want {
			t.Fatalf("round %d\n got %s\nwant %s", i+1, got, g.want)
		}
		if len(decisions) > 0 && !strings.Contains(decisions[0].Reason(), g.why) {
			t.Fatalf("round %d: the reason is %q, want %q in it", i+1, decisions[0].Reason(), g.why)
		}
	}
	return s
}

func TestALeakIsActedUponWhenTheEvidenceIsThere(t *testing.T) {
	scenarios := map[string]struct {
		policy  *Policy
		glances []glance
	}{
		"old sockets that were seen twice": {policy(rule()), []glance{
			{view(0, holder(alice, sockets(2, 1, -time.Hour, firstSeen(0)))), "leak/10 pending", "2 not seen in two rounds"},
			{view(time.Minute, holder(alice, sockets(2, 1, -time.Hour, firstSeen(0)))), "leak/10 act", "2 of 2 sockets are evidence, 2 are wanted"},
		}},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) { play(t, s.policy, s.glances) })
	}
}
