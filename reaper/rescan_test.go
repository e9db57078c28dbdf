package reaper

import (
	"testing"

	"closewait_exporter/reaper/policy"

	"github.com/google/go-cmp/cmp"
)

func TestALadderLooksAgainWhereItSawTooLittle(t *testing.T) {
	scenarios := map[string]struct {
		looks int // in which too little is seen, after the decision
		label policy.Label
		deeds []string
	}{
		"for a moment": {2, "", []string{"signal TERM"}},
		"for long":     {1000, policy.LabelIncompleteScan, nil},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *remedying) {
				c.rule.Steps = allSteps[4:5]
				c.on["signal TERM"] = exits
				c.leakFor(alice)
				const decision = 2
				looks := 0
				c.onLook = func() {
					looks++
					c.unread = 0
					if looks > decision && looks <= decision+s.looks {
						c.unread = 1
					}
				}
				if o := c.remedy(t); o.label != s.label {
					t.Errorf("it ends with %q (%s), want %q", o.label, o.reason, s.label)
				}
				if diff := cmp.Diff(s.deeds, c.actions); diff != "" {
					t.Errorf("-want +done:\n%s", diff)
				}
			})
		})
	}
}
