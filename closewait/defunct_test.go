package closewait

import (
	"testing"
	"time"
)

func TestTrackerFollowsSocketsThatBecomeDefunct(t *testing.T) {
	both := []Process{process(alice), process(bob)}
	only := both[:1]
	scenarios := map[string][]scanStep{
		"a socket that becomes defunct leaves CLOSE_WAIT and keeps its age": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=1h0m0s quiet=1h0m0s] [2 age=0s quiet=0s]; total=2 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct), row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 defunct=1 [2 age=1m0s quiet=1m0s] [1 age=1h1m0s quiet=1h1m0s]; total=1 gone=1"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct), row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 defunct=1 [2 age=2m0s quiet=2m0s] [1 age=1h2m0s quiet=1h2m0s]; total=1 gone=1"},
		},
		"a defunct socket has age 0 when it is first seen, whatever the last ACK says, and has not entered": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), defunct, lastACK(time.Hour), sending(9))}, procs: only, want: "p100 0+0 entered=0 left=0 defunct=1 [1 age=0s quiet=0s]; total=0 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: only, want: "p100 0+0 entered=0 left=0 defunct=1 [1 age=1m0s quiet=1m0s]; total=0 gone=0"},
		},
		"a defunct socket that is closed does not leave again": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=0s quiet=0s] [2 age=0s quiet=0s]; total=2 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct), row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 defunct=1 [2 age=1m0s quiet=1m0s] [1 age=1m0s quiet=1m0s]; total=1 gone=1"},
			{at: 2 * time.Minute, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 [2 age=2m0s quiet=2m0s]; total=1 gone=1"},
			{at: 3 * time.Minute, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 [2 age=3m0s quiet=3m0s]; total=1 gone=1"},
			{at: 4 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct), row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 defunct=1 [2 age=4m0s quiet=4m0s] [1 age=0s quiet=0s]; total=1 gone=1"},
		},
		"a defunct socket that one scan misses keeps its age": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: only, want: "p100 0+0 entered=0 left=0 defunct=1 [1 age=0s quiet=0s]; total=0 gone=0"},
			{at: time.Minute, want: "total=0 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: only, want: "p100 0+0 entered=0 left=0 defunct=1 [1 age=2m0s quiet=2m0s]; total=0 gone=0"},
		},
		"a socket that one scan misses can have become defunct in between, and has left when it was last seen": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, want: "total=0 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: only, want: "p100 0+0 entered=1 left=1 defunct=1 [1 age=2m0s quiet=2m0s]; total=0 gone=1"},
		},
		"a defunct socket of a namespace that cannot be read stays known for as long as it takes": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: only, want: "p100 0+0 entered=0 left=0 defunct=1 [1 age=0s quiet=0s]; total=0 gone=0"},
			{at: time.Minute, unread: []NetNS{testNS}, procs: only, want: "total=0 gone=0"},
			{at: 2 * time.Minute, unread: []NetNS{testNS}, procs: only, want: "total=0 gone=0"},
			{at: 3 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: only, want: "p100 0+0 entered=0 left=0 defunct=1 [1 age=3m0s quiet=3m0s]; total=0 gone=0"},
		},
		"every holder of a socket that becomes defunct sees it leave": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice, bob))}, procs: both, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; p110 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice, bob), defunct)}, procs: both, want: "p100 0+0 entered=1 left=1 defunct=1 [1 age=1m0s quiet=1m0s]; p110 0+0 entered=1 left=1 defunct=1 [1 age=1m0s quiet=1m0s]; total=0 gone=1"},
		},
		"a defunct socket that is passed on counts for its new holder, and neither leaves nor enters": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: both, want: "p100 0+0 entered=0 left=0 defunct=1 [1 age=0s quiet=0s]; total=0 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(bob), defunct)}, procs: both, want: "p110 0+0 entered=0 left=0 defunct=1 [1 age=1m0s quiet=1m0s]; total=0 gone=0"},
		},
		"a socket that is passed on and becomes defunct between two scans leaves one process and never enters the other": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: both, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(bob), defunct)}, procs: both, want: "p110 0+0 entered=0 left=0 defunct=1 [1 age=1m0s quiet=1m0s]; total=0 gone=1"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(bob), defunct), row(2, heldBy(alice))}, procs: both, want: "p110 0+0 entered=0 left=0 defunct=1 [1 age=2m0s quiet=2m0s]; p100 1+0 entered=2 left=1 [2 age=0s quiet=0s]; total=1 gone=1"},
		},
		"a socket that is reset in the accept queue and accepted then leaves the listener": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), unaccepted)}, procs: only, want: "p100 0+1 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: only, want: "p100 0+0 entered=1 left=1 defunct=1 [1 age=1m0s quiet=1m0s]; total=0 gone=1"},
		},
		"a socket that one scan reports as defunct and the next in CLOSE_WAIT has entered again, and keeps its age": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct)}, procs: only, want: "p100 0+0 entered=1 left=1 defunct=1 [1 age=1m0s quiet=1m0s]; total=0 gone=1"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 [1 age=2m0s quiet=2m0s]; total=1 gone=1"},
		},
		"a defunct socket without a holder is in no list and no total": {
			{at: 0, rows: []SocketSample{row(1, defunct), row(2)}, want: "ownerless=1; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, defunct), row(2, defunct)}, want: "total=0 gone=1"},
		},
		"the process with most sockets of all kinds is the worst": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(bob), defunct), row(3, heldBy(bob), defunct)}, procs: both, want: "p110 0+0 entered=0 left=0 defunct=2 [2 age=0s quiet=0s] [3 age=0s quiet=0s]; p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
		},
	}
	for name, steps := range scenarios {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestADefunctSocketIsQuiet(t *testing.T) {
	scenarios := map[string][]scanStep{
		"emptied queues are no movement": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), unread(6), sent(10))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct)}, want: "p100 0+0 entered=1 left=1 defunct=1 [1 age=1m0s quiet=1m0s]; total=0 gone=1"},
		},
		"a socket that was moving is quiet once it is defunct": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), sending(5), timer(TimerProbe))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct, sending(5), timer(TimerProbe))}, want: "p100 0+0 entered=1 left=1 defunct=1 [1 age=1m0s quiet=0s]; total=0 gone=1"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), defunct)}, want: "p100 0+0 entered=1 left=1 defunct=1 [1 age=2m0s quiet=1m0s]; total=0 gone=1"},
		},
	}
	for name, steps := range scenarios {
		for i := range steps {
			steps[i].procs = []Process{process(alice)}
		}
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestNothingConfirmsADefunctSocket(t *testing.T) {
	tracker := NewTracker(nil)
	scan := func(rows ...SocketSample) {
		tracker.Update(&Snapshot{
			Taken: epoch, Sockets: rows, Processes: []Process{process(alice)}, PIDs: []int{alice.PID},
			Confirmed: []SocketID{CookieID(testNS, 1), CookieID(testNS, 2)},
		})
	}
	scan(row(1, heldBy(alice), defunct), row(2, heldBy(alice)))
	scan()
	scan()
	if left := tracker.sockets[CookieID(testNS, 2)]; left == nil || len(tracker.sockets) != 1 {
		t.Errorf("%d sockets are remembered, want the one in CLOSE_WAIT alone", len(tracker.sockets))
	}
}

func TestWhatIsDefunctCountsForNoOwnerOfTheHost(t *testing.T) {
	v := NewTracker(nil).Update(&Snapshot{
		Taken: epoch, AllDefunct: true, Processes: []Process{process(alice)}, PIDs: []int{alice.PID},
		Sockets: []SocketSample{
			row(1, heldBy(alice), defunct),
			row(2, func(s *SocketSample) { s.Owner, s.Holders = OwnerUnresolved, []ProcessID{bob} }, defunct),
		},
	})
	if v.Sockets != (HostSockets{}) || v.Coverage() != 1 || !v.AllDefunct {
		t.Errorf("totals %v, coverage %v, all defunct %t; want none, 1, true", v.Sockets, v.Coverage(), v.AllDefunct)
	}
}

func TestTheDurationOfADefunctSocketIsItsTimeInCloseWait(t *testing.T) {
	tracker := NewTracker([]float64{60})
	var v *View
	for _, scan := range []struct {
		at  time.Duration
		row []SocketSample
	}{
		{0, []SocketSample{row(1, heldBy(alice))}},
		{time.Minute, []SocketSample{row(1, heldBy(alice))}},
		{time.Hour, []SocketSample{row(1, heldBy(alice), defunct)}},
		{2 * time.Hour, nil},
		{3 * time.Hour, nil},
	} {
		v = tracker.Update(&Snapshot{Taken: epoch.Add(scan.at), Sockets: scan.row, PIDs: []int{alice.PID}})
	}
	if v.Durations.Count != 1 || v.Durations.Sum != 60 {
		t.Errorf("%d durations of %v s, want the minute for which it was seen in CLOSE_WAIT", v.Durations.Count, v.Durations.Sum)
	}
}
