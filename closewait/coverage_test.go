package closewait

import (
	"testing"
	"time"
)

// TestSocketsThatHaveJustComeDoNotCountAgainstCoverage: short connections that end while the holders of sockets are looked
// for must not keep a reaper from acting on others. Who starts has to be told of all at once.
func TestSocketsThatHaveJustComeDoNotCountAgainstCoverage(t *testing.T) {
	unresolved := func(s *SocketSample) { s.Owner = OwnerUnresolved }
	tracker := NewTracker(nil)
	for i, look := range []struct {
		rows []SocketSample
		want float64
	}{
		{[]SocketSample{row(1, heldBy(alice)), row(2, unresolved)}, 1. / 2},
		{[]SocketSample{row(1, heldBy(alice)), row(2, unresolved), row(3, unresolved), row(4, unresolved)}, 1. / 2},
		{[]SocketSample{row(1, heldBy(alice)), row(3, unresolved), row(5, unresolved)}, 1. / 2},
		{[]SocketSample{row(6, unresolved)}, 1},
	} {
		v := tracker.Update(&Snapshot{Taken: epoch.Add(time.Duration(i) * time.Second), Sockets: look.rows, PIDs: []int{alice.PID}})
		if got := v.Coverage(); got != look.want {
			t.Errorf("look %d: coverage %v, want %v", i, got, look.want)
		}
		if got := v.Sockets.Total(); got != len(look.rows) {
			t.Errorf("look %d: %d sockets, want all %d", i, got, len(look.rows))
		}
	}
}
