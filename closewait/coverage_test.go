package closewait

import (
	"testing"
	"time"
)

// Short connections that end while their holders are being looked up must not keep a reaper from
// acting on other processes. At the first scan nothing is known to be transient, so all count.
func TestSocketsThatHaveJustComeDoNotCountAgainstCoverage(t *testing.T) {
	unresolved := func(s *SocketSample) { s.Owner = OwnerUnresolved }
	tracker := NewTracker(nil)
	for i, step := range []struct {
		rows []SocketSample
		want float64
	}{
		{[]SocketSample{row(1, heldBy(alice)), row(2, unresolved)}, 1. / 2},
		{[]SocketSample{row(1, heldBy(alice)), row(2, unresolved), row(3, unresolved), row(4, unresolved)}, 1. / 2},
		{[]SocketSample{row(1, heldBy(alice)), row(3, unresolved), row(5, unresolved)}, 1. / 2},
		{[]SocketSample{row(6, unresolved)}, 1},
	} {
		v := tracker.Update(&Snapshot{Taken: epoch.Add(time.Duration(i) * time.Second), Sockets: step.rows, PIDs: []int{alice.PID}})
		if got := v.Coverage(); got != step.want {
			t.Errorf("scan %d: coverage %v, want %v", i, got, step.want)
		}
		if got := v.Sockets.Total(); got != len(step.rows) {
			t.Errorf("scan %d: %d sockets, want all %d", i, got, len(step.rows))
		}
	}
}
