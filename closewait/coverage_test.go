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
		v := tracker.Update(&Snapshot{Taken: epoch.Add(time.Duration(i) * time.Second), Sockets: step.rows, PIDs: []int{alice.PID}, Processes: []Process{process(alice)}})
		if got := v.Coverage(); got != step.want {
			t.Errorf("scan %d: coverage %v, want %v", i, got, step.want)
		}
		if got := v.CoverageByOpener().Of(func(Opener) bool { return true }); got != step.want {
			t.Errorf("scan %d: coverage of all users %v, want %v", i, got, step.want)
		}
		if got := v.Sockets.Total(); got != len(step.rows) {
			t.Errorf("scan %d: %d sockets, want all %d", i, got, len(step.rows))
		}
	}
}

func TestCoverageByOpenerCountsEachSocketForTheUserThatHasOpenedIt(t *testing.T) {
	of := func(uid uint32) func(*SocketSample) { return func(s *SocketSample) { s.UID = uid } }
	owner := func(o Owner) func(*SocketSample) { return func(s *SocketSample) { s.Owner = o } }
	v := NewTracker(nil).Update(&Snapshot{
		Taken: epoch, PIDs: []int{alice.PID, bob.PID}, Processes: []Process{process(alice), process(bob)},
		Sockets: []SocketSample{
			row(1, heldBy(alice, bob), of(1)), row(2, heldBy(bob), of(1)), row(3, owner(OwnedByKernel), of(1)), row(4, owner(OwnerUnresolved), of(1)),
			row(5, owner(OwnerUnresolved), of(2)),
			row(6, heldBy(alice), of(3)), row(7, unaccepted, of(3)),
		},
	})
	for uid, want := range map[uint32]float64{1: 3. / 4, 2: 0, 3: 1, 4: 1} {
		if got := v.CoverageByOpener().Of(func(by Opener) bool { return by == Opener{testNS, uid} }); got != want {
			t.Errorf("user %d: coverage %v, want %v", uid, got, want)
		}
	}
}
