package reaper

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/reaper/policy"
)

func TestARemediationScansAgainIfAScanShowsTooLittle(t *testing.T) {
	scenarios := map[string]struct {
		scans   int // in which too little is seen, after the decision
		label   policy.Label
		actions []string
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
				scans := 0
				c.onScan = func() {
					scans++
					c.unread = 0
					if scans > decision && scans <= decision+s.scans {
						c.unread = 1
					}
				}
				if o := c.remedy(t); o.label != s.label {
					t.Errorf("it ends with %q (%s), want %q", o.label, o.reason, s.label)
				}
				if diff := cmp.Diff(s.actions, c.actions); diff != "" {
					t.Errorf("-want +done:\n%s", diff)
				}
			})
		})
	}
}
