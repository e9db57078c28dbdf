package closewait

import "testing"

func TestUnacceptedSocketsOfSeveralQueuesCountUpToTheLengthOfTheOwnOnes(t *testing.T) {
	contested := func(s *SocketSample) { unaccepted(s); s.Contested = true }
	for name, c := range map[string]struct {
		rows   []SocketSample
		queues AcceptQueues
		want   int
		exact  bool
	}{
		"one queue":                  {[]SocketSample{row(1, heldBy(alice), unaccepted), row(2, heldBy(alice), unaccepted)}, AcceptQueues{}, 2, true},
		"several, of a known split":  {[]SocketSample{row(1, heldBy(alice), contested), row(2, heldBy(alice), contested)}, AcceptQueues{Contested: 1}, 1, true},
		"several, with others":       {[]SocketSample{row(1, heldBy(alice), contested), row(2, heldBy(alice), contested)}, AcceptQueues{Contested: 1, Inexact: true}, 1, false},
		"several, and one alone":     {[]SocketSample{row(1, heldBy(alice), contested), row(2, heldBy(alice), unaccepted)}, AcceptQueues{Contested: 1, Inexact: true}, 2, false},
		"fewer than the queues have": {[]SocketSample{row(1, heldBy(alice), contested)}, AcceptQueues{Contested: 5, Inexact: true}, 1, false},
		"only accepted ones":         {[]SocketSample{row(1, heldBy(alice))}, AcceptQueues{Inexact: true}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := process(alice)
			p.Queues = c.queues
			v := NewTracker(nil).Update(&Snapshot{Taken: epoch, Sockets: c.rows, Processes: []Process{p}, PIDs: []int{alice.PID}})
			if n, exact := v.Holders[0].UnacceptedCount(); n != c.want || exact != c.exact {
				t.Errorf("%d (exact: %v), want %d (exact: %v)", n, exact, c.want, c.exact)
			}
		})
	}
}

func TestASocketWhoseQueueBecomesKnownIsNoLongerContested(t *testing.T) {
	tracker := NewTracker(nil)
	var last *View
	for _, contested := range []bool{false, true, false} {
		sample := row(1, heldBy(alice), unaccepted)
		sample.Contested = contested
		last = tracker.Update(&Snapshot{Taken: epoch, Sockets: []SocketSample{sample}, Processes: []Process{process(alice)}, PIDs: []int{alice.PID}})
		if got := last.Holders[0].Unaccepted.Contested == 1; got != contested {
			t.Errorf("contested %v, want %v", got, contested)
		}
	}
}

func TestTheFullestQueueIsThatWithTheLargestShareOfItsBacklog(t *testing.T) {
	short, long, unknown := AcceptQueue{5, 10, true}, AcceptQueue{20, 4096, true}, AcceptQueue{Length: 99}
	for _, list := range [][]AcceptQueue{{short, long, unknown}, {unknown, long, short}, {long, short}} {
		var fullest AcceptQueue
		for _, q := range list {
			fullest = Fuller(fullest, q)
		}
		if fullest != short {
			t.Errorf("the fullest of %v is %v", list, fullest)
		}
	}
	if _, known := Fuller(unknown, AcceptQueue{}).Ratio(); known {
		t.Error("the ratio of a queue without a known backlog is known")
	}
}
