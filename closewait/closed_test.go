package closewait

import (
	"testing"
	"time"
)

func TestTrackerFollowsSocketsThatAreClosed(t *testing.T) {
	both := []Process{process(alice), process(bob)}
	only := both[:1]
	scenarios := map[string][]scanStep{
		"a socket that goes from CLOSE_WAIT to closed has not left and keeps its age": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=1h0m0s quiet=1h0m0s] [2 age=0s quiet=0s]; total=2 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 closed=1 [1 age=1h1m0s quiet=1h1m0s] [2 age=1m0s quiet=1m0s]; total=2 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 closed=1 [1 age=1h2m0s quiet=1h2m0s] [2 age=2m0s quiet=2m0s]; total=2 gone=0"},
		},
		"a closed socket has age 0 when it is first seen, whatever the last ACK says": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), closed, lastACK(time.Hour), sending(9))}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
		},
		"a closed socket whose descriptor is closed has left": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=0s quiet=0s] [2 age=0s quiet=0s]; total=2 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 closed=1 [1 age=1m0s quiet=1m0s] [2 age=1m0s quiet=1m0s]; total=2 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=0 [2 age=2m0s quiet=2m0s]; total=1 gone=0"},
			{at: 3 * time.Minute, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 [2 age=3m0s quiet=3m0s]; total=1 gone=1"},
			{at: 4 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=3 left=1 closed=1 [2 age=4m0s quiet=4m0s] [1 age=0s quiet=0s]; total=2 gone=1"},
		},
		"a closed socket that one scan misses keeps its age": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, want: "total=0 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=2m0s quiet=2m0s]; total=1 gone=0"},
		},
		"a socket that one scan misses can have been closed in between": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, want: "total=0 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=2m0s quiet=2m0s]; total=1 gone=0"},
		},
		"a closed socket of a namespace that cannot be read stays known for as long as it takes": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, unread: []NetNS{testNS}, procs: only, want: "total=0 gone=0"},
			{at: 2 * time.Minute, unread: []NetNS{testNS}, procs: only, want: "total=0 gone=0"},
			{at: 3 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=3m0s quiet=3m0s]; total=1 gone=0"},
		},
		"every holder of a socket that is closed keeps it": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice, bob))}, procs: both, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; p110 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice, bob), closed)}, procs: both, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; p110 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
		},
		"a closed socket that is passed on leaves one process and enters the other": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: both, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(bob), closed)}, procs: both, want: "p110 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
		},
		"a socket that is passed on and closed between two scans leaves one process and enters the other": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: both, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(bob), closed)}, procs: both, want: "p110 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(bob), closed), row(2, heldBy(alice))}, procs: both, want: "p110 1+0 entered=1 left=0 closed=1 [1 age=2m0s quiet=2m0s]; p100 1+0 entered=2 left=1 [2 age=0s quiet=0s]; total=2 gone=0"},
		},
		"a socket that is reset in the accept queue and accepted then enters the process": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), unaccepted)}, procs: only, want: "p100 0+1 entered=0 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
		},
		"a socket that one scan reports as closed and the next in CLOSE_WAIT stays the same": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=2m0s quiet=2m0s]; total=1 gone=0"},
		},
		"a closed socket without a holder is in no list and no total": {
			{at: 0, rows: []SocketSample{row(1, closed), row(2)}, want: "ownerless=1; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, closed), row(2, closed)}, want: "total=0 gone=0"},
		},
		"sockets in other states are no leak until their connection has ended": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), halfClosed, lastACK(time.Hour)), row(2, heldBy(alice), unconnected)}, procs: only, want: "p100 0+0 entered=0 left=0 other=2 [1 age=0s quiet=0s] [2 age=0s quiet=0s]; total=0 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed), row(2, heldBy(alice), unconnected)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 other=1 [1 age=0s quiet=0s] [2 age=1m0s quiet=1m0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
			{at: 3 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, procs: only, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=2m0s quiet=2m0s]; total=1 gone=0"},
		},
		"a socket in another state without a holder is in no list and no total": {
			{at: 0, rows: []SocketSample{row(1, halfClosed), row(2, unconnected)}, want: "total=0 gone=0"},
			{at: time.Minute, want: "total=0 gone=0"},
			{at: 2 * time.Minute, want: "total=0 gone=0"},
		},
		"the process with most sockets of all kinds is the worst": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(bob), closed), row(3, heldBy(bob), closed)}, procs: both, want: "p110 2+0 entered=2 left=0 closed=2 [2 age=0s quiet=0s] [3 age=0s quiet=0s]; p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=3 gone=0"},
		},
	}
	for name, steps := range scenarios {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestAClosedSocketIsQuiet(t *testing.T) {
	scenarios := map[string][]scanStep{
		"emptied queues are no movement": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), unread(6), sent(10))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
		},
		"a socket that was moving is quiet once it is closed": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), sending(5), timer(TimerProbe))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed, sending(5), timer(TimerProbe))}, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=2m0s quiet=1m0s]; total=1 gone=0"},
		},
	}
	for name, steps := range scenarios {
		for i := range steps {
			steps[i].procs = []Process{process(alice)}
		}
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestNothingConfirmsAClosedSocket(t *testing.T) {
	tracker := NewTracker(nil)
	scan := func(rows ...SocketSample) {
		tracker.Update(&Snapshot{
			Taken: epoch, Sockets: rows, Processes: []Process{process(alice)}, PIDs: []int{alice.PID},
			Confirmed: []SocketID{CookieID(testNS, 1), CookieID(testNS, 2)},
		})
	}
	scan(row(1, heldBy(alice), closed), row(2, heldBy(alice)))
	scan()
	scan()
	if left := tracker.sockets[CookieID(testNS, 2)]; left == nil || len(tracker.sockets) != 1 {
		t.Errorf("%d sockets are remembered, want the one in CLOSE_WAIT alone", len(tracker.sockets))
	}
}

func TestTotalsOfTheHostCountHeldClosedSockets(t *testing.T) {
	v := NewTracker(nil).Update(&Snapshot{
		Taken: epoch, Complete: NewStateSet(EndedStates...), Processes: []Process{process(alice)}, PIDs: []int{alice.PID},
		Sockets: []SocketSample{
			row(1, heldBy(alice), closed),
			row(2, closed),
			row(3, func(s *SocketSample) { s.Owner = OwnerUnresolved }),
			row(4, heldBy(alice), halfClosed), row(5, heldBy(alice), unconnected),
		},
	})
	if v.Sockets.Of(IPv4, OwnedByProcess) != 1 || v.Sockets.Total() != 2 {
		t.Errorf("totals %v, want the closed socket that is held, and the one in CLOSE_WAIT", v.Sockets)
	}
	if v.Coverage() != 0 {
		t.Errorf("coverage %v, want 0: closed sockets are only seen if they are held", v.Coverage())
	}
}

func TestADurationEndsWithTheDescriptor(t *testing.T) {
	tracker := NewTracker([]float64{60})
	var v *View
	for _, scan := range []struct {
		at  time.Duration
		row []SocketSample
	}{
		{0, []SocketSample{row(1, heldBy(alice))}},
		{time.Minute, []SocketSample{row(1, heldBy(alice))}},
		{time.Hour, []SocketSample{row(1, heldBy(alice), closed)}},
		{2 * time.Hour, nil},
		{3 * time.Hour, nil},
	} {
		v = tracker.Update(&Snapshot{Taken: epoch.Add(scan.at), Sockets: scan.row, PIDs: []int{alice.PID}})
	}
	if v.Durations.Count != 1 || v.Durations.Sum != 3600 {
		t.Errorf("%d durations of %v s, want the hour after which it was last seen", v.Durations.Count, v.Durations.Sum)
	}
}

func TestAnAgeIsALowerBoundWhereNothingShowsTheEnd(t *testing.T) {
	withTimes := lastACK(time.Minute)
	first := map[string]struct {
		sample SocketSample
		want   bool
	}{
		"in CLOSE_WAIT, with times":    {row(1, heldBy(alice), withTimes), false},
		"in CLOSE_WAIT, without times": {row(1, heldBy(alice)), true},
		"with a keepalive":             {row(1, heldBy(alice), withTimes, timer(TimerKeepalive)), true},
		"closed":                       {row(1, heldBy(alice), withTimes, closed), true},
	}
	for name, c := range first {
		t.Run(name, func(t *testing.T) {
			snapshot := func(at time.Duration, rows ...SocketSample) *Snapshot {
				return &Snapshot{Taken: epoch.Add(at), Sockets: rows, NetNS: []NetNS{testNS}, Processes: []Process{process(alice)}, PIDs: []int{alice.PID}}
			}
			v := NewTracker(nil).Update(snapshot(0, c.sample))
			if got := v.Holders[0].Ended.Sockets[0].AgeIsLowerBound; got != c.want {
				t.Errorf("in the first scan %t, want %t", got, c.want)
			}
			tracker := NewTracker(nil)
			tracker.Update(snapshot(0))
			v = tracker.Update(snapshot(time.Second, c.sample))
			if v.Holders[0].Ended.Sockets[0].AgeIsLowerBound {
				t.Error("a socket that a scan did not have yet ended after it")
			}
		})
	}
}

func TestManySocketsInOtherStatesAreListed(t *testing.T) {
	for n, want := range map[int]int{9: 0, 10: 1, 50: 1} {
		rows := make([]SocketSample, 0, n)
		for i := range n {
			rows = append(rows, row(uint64(i+1), heldBy(alice), unconnected))
		}
		first := NewTracker(nil).Update(&Snapshot{Taken: epoch, Sockets: rows, Processes: []Process{process(alice)}, PIDs: []int{alice.PID}})
		if got := len(Listed(first, time.Hour)); got != want {
			t.Errorf("%d sockets in the first scan, which can be old: %d processes listed, want %d", n, got, want)
		}
		tracker := NewTracker(nil)
		tracker.Update(&Snapshot{Taken: epoch.Add(-time.Second), NetNS: []NetNS{testNS}})
		at := func(d time.Duration, rows []SocketSample) *View {
			return tracker.Update(&Snapshot{Taken: epoch.Add(d), Sockets: rows, Processes: []Process{process(alice)}, PIDs: []int{alice.PID}})
		}
		young := at(0, rows)
		if got := len(Listed(young, 0)); got != want {
			t.Errorf("%d sockets, no minimum age: %d processes listed, want %d", n, got, want)
		}
		if got := len(Listed(young, time.Minute)); got != 0 {
			t.Errorf("%d young sockets: %d processes listed, want none", n, got)
		}
		if got := len(Listed(at(time.Minute, rows), time.Minute)); got != want {
			t.Errorf("%d sockets: %d processes listed, want %d", n, got, want)
		}
	}
}

func TestTheProcessNearestToItsLimitIsTheWorst(t *testing.T) {
	limited := func(id ProcessID, open, limit uint64) Process {
		p := process(id)
		p.FDsKnown, p.OpenFDs, p.MaxFDs = true, open, limit
		return p
	}
	v := NewTracker(nil).Update(&Snapshot{
		Taken: epoch, Sockets: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice)), row(3, heldBy(bob))},
		Processes: []Process{limited(alice, 500, 1000), limited(bob, 90, 100)}, PIDs: []int{alice.PID, bob.PID},
	})
	if v.Holders[0].ID != bob || v.Holders[1].ID != alice {
		t.Errorf("worst first: %v, %v; want the one with 90 of 100 descriptors", v.Holders[0].ID, v.Holders[1].ID)
	}
}

func TestProcessesWithoutALimitAreOrderedByTheirSockets(t *testing.T) {
	unlimited := func(id ProcessID, open uint64) Process {
		p := process(id)
		p.FDsKnown, p.OpenFDs, p.MaxFDs = true, open, UnlimitedFDs
		return p
	}
	v := NewTracker(nil).Update(&Snapshot{
		Taken: epoch, Sockets: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice)), row(3, heldBy(bob))},
		Processes: []Process{unlimited(alice, 10), unlimited(bob, 9000)}, PIDs: []int{alice.PID, bob.PID},
	})
	if v.Holders[0].ID != alice {
		t.Errorf("worst first: %v, want the one with two sockets", v.Holders[0].ID)
	}
}
