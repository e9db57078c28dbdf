package report

import (
	"testing"

	"closewait_exporter/closewait"
)

func TestAnUpperBoundOfUnacceptedSocketsSaysSo(t *testing.T) {
	for want, queues := range map[string]closewait.AcceptQueues{
		"2":   {Contested: 2},
		"<=2": {Contested: 2, Inexact: true},
	} {
		h := newHost()
		id := h.process(closewait.Process{ID: closewait.ProcessID{PID: 10}, Queues: queues})
		h.sockets(3, closewait.SocketSample{
			Owner: closewait.OwnedByListener, Holders: []closewait.ProcessID{id}, Contested: true,
			Facts: closewait.Facts{Direction: closewait.Inbound},
		}, "10.0.0.1:80", "10.0.0.2:40000", day)
		v := closewait.NewTracker(nil).Update(&h.Snapshot)
		if got := unacceptedCell(v.Holders[0]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
