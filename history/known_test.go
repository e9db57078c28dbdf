package history

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
)

// TestWhatAProcessHadWhenItBecameKnownIsNoGrowth: the worst processes have series, and one that
// comes among them has leaked before.
func TestWhatAProcessHadWhenItBecameKnownIsNoGrowth(t *testing.T) {
	epoch := time.Unix(1_000_000, 0)
	holder := func(pid, sockets int, started time.Time) *closewait.Holder {
		h := &closewait.Holder{Process: closewait.Process{ID: closewait.ProcessID{PID: pid, Start: 1}, Unit: "web.service", StartTime: started}}
		h.Ended.Sockets = make([]*closewait.Socket, sockets)
		return h
	}
	h := New()
	old := holder(1, 600, epoch.Add(-time.Hour))
	for second := range 60 {
		holders := []*closewait.Holder{old}
		if second >= 30 {
			holders = append(holders, holder(2, 500, epoch.Add(-time.Hour)))
		}
		h.Add(&closewait.View{Taken: epoch.Add(time.Duration(second) * time.Second), Holders: holders})
	}
	if got := h.Group(&old.Process).Sockets.PerSecond; got != 0 {
		t.Errorf("a group that does not grow grows by %v a second", got)
	}
}
