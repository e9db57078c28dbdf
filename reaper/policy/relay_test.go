package policy

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

func TestHalvesOfRelayedConnectionsAreNoEvidence(t *testing.T) {
	both := func(r *rules.Rule) {
		r.When.States = closewait.NewStateSet(closewait.CloseWait, closewait.FinWait2)
	}
	scenarios := map[string]struct {
		rule                     rules.Rule
		waiting, closed, halfway int
		want, why                string
	}{
		"a proxy holds as many in fin_wait2":           {rule(), 4, 0, 4, "leak/10 pending", "4 half of a relayed connection"},
		"some of its pairs have changed since":         {rule(), 4, 0, 2, "leak/10 pending", "4 half of a relayed connection"},
		"more are in fin_wait2":                        {rule(), 2, 0, 40, "leak/10 pending", "2 half of a relayed connection"},
		"a leak has few in fin_wait2":                  {rule(), 4, 0, 1, "leak/10 act", "4 of 4 sockets are evidence"},
		"its halves can be closed":                     {rule(endedStates), 0, 4, 4, "leak/10 pending", "4 half of a relayed connection"},
		"a rule can count both halves of a leak":       {rule(both), 4, 0, 4, "leak/10 act", "8 of 8 sockets are evidence"},
		"sockets in fin_wait2 alone are no evidence":   {rule(), 0, 0, 9, "leak/10 pending", "0 of 0 sockets are evidence"},
		"sockets in fin_wait2 count where a rule says": {rule(both), 0, 0, 9, "leak/10 act", "9 of 9 sockets are evidence"},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			h := withClosed(holder(alice, sockets(s.waiting, 100, hour)), sockets(s.closed, 200, hour))
			halfway := sockets(s.halfway, 300, hour)
			for _, socket := range halfway {
				socket.State, socket.Holders = closewait.FinWait2, []closewait.ProcessID{alice}
			}
			h.Other = closewait.NewHolding(halfway)
			play(t, policy(s.rule), []observation{{view(0), "", ""}, {view(time.Minute, h), s.want, s.why}})
		})
	}
}
