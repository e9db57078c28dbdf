package policy

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// TestNoStepFollowsAGap: after a gap the evidence starts again, also the sockets that a step has
// cut before it, whether a round has noticed the gap or the check before the step does.
func TestNoStepFollowsAGap(t *testing.T) {
	p := policy(rule(func(r *rules.Rule) {
		r.Steps = []step.Step{step.Destroy{}, step.Signal{Name: "TERM", Wait: time.Second}}
	}))
	at := func(d, slept time.Duration) *closewait.View {
		v := view(d, holder(alice, sockets(2, 1, hour)))
		v.Uptime = time.Hour + d + slept
		return v
	}
	for name, c := range map[string]struct {
		between []*closewait.View // rounds after the decision
		now     *closewait.View
		want    Label
	}{
		"no gap":                             {nil, at(2*time.Minute, 0), unlabelled},
		"the host slept":                     {nil, at(2*time.Minute, time.Hour), LabelGap},
		"the host slept before a round":      {[]*closewait.View{at(100*time.Second, time.Hour)}, at(2*time.Minute, time.Hour), LabelGap},
		"no View for long, and then a round": {[]*closewait.View{at(10*time.Minute, 0)}, at(11*time.Minute, 0), LabelGap},
		"a round without a gap":              {[]*closewait.View{at(100*time.Second, 0)}, at(2*time.Minute, 0), unlabelled},
	} {
		t.Run(name, func(t *testing.T) {
			_, s := p.Decide(at(0, 0), State{})
			decisions, s := p.Decide(at(time.Minute, 0), s)
			d := &decisions[0]
			if !d.Acts() {
				t.Fatal(describe(decisions))
			}
			for _, v := range c.between {
				_, s = p.Decide(v, s)
			}
			got := p.Recheck(c.now, s, d, 1, []TargetFacts{{Process: *d.Process, Cut: sockets(2, 1, hour)}})
			if got.Label != c.want {
				t.Errorf("%q (%s), want %q", got.Label, got.Why, c.want)
			}
		})
	}
}
