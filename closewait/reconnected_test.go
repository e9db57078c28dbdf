package closewait

import (
	"testing"
	"time"
)

func TestASocketThatIsReconnectedBeginsFromNothing(t *testing.T) {
	scenarios := map[string][]scanStep{
		"a socket in CLOSE_WAIT again has left and entered, and counts once if a dump repeats it": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), sent(10))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), reconnected), row(1, heldBy(alice), reconnected)}, want: "p100 1+0 entered=2 left=1 [1 age=0s quiet=0s]; total=1 gone=1"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), reconnected)}, want: "p100 1+0 entered=2 left=1 [1 age=1m0s quiet=1m0s]; total=1 gone=1"},
		},
		"its age is what the kernel says about the new connection": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour))}, want: "p100 1+0 entered=1 left=0 [1 age=1h0m0s quiet=1h0m0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Second), reconnected)}, want: "p100 1+0 entered=2 left=1 [1 age=1s quiet=1s]; total=1 gone=1"},
		},
		"no ACK makes the new connection older than the last scan": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour))}, want: "p100 1+0 entered=1 left=0 [1 age=1h0m0s quiet=1h0m0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour), reconnected)}, want: "p100 1+0 entered=2 left=1 [1 age=1m0s quiet=1m0s]; total=1 gone=1"},
		},
		"a closed socket enters, and does not leave twice": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed)}, want: "p100 1+0 entered=1 left=0 closed=1 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), reconnected)}, want: "p100 1+0 entered=2 left=1 [1 age=0s quiet=0s]; total=1 gone=1"},
		},
		"a reconnected socket that is closed has age 0": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), closed, reconnected)}, want: "p100 1+0 entered=2 left=1 closed=1 [1 age=0s quiet=0s]; total=1 gone=1"},
		},
		"a socket that a scan has missed before": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, want: "total=0 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), reconnected)}, want: "p100 1+0 entered=2 left=1 [1 age=0s quiet=0s]; total=1 gone=1"},
		},
		"a process that held only the old connection sees it leave": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice, bob))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; p110 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(bob), reconnected), row(2, heldBy(alice))}, want: "p100 1+0 entered=2 left=1 [2 age=0s quiet=0s]; p110 1+0 entered=2 left=1 [1 age=0s quiet=0s]; total=2 gone=1"},
		},
	}
	for name, steps := range scenarios {
		for i := range steps {
			steps[i].procs = []Process{process(alice), process(bob)}
		}
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestASocketThatIsReconnectedIsNotInboundBecauseItWas(t *testing.T) {
	tracker := NewTracker(nil)
	var v *View
	for _, r := range []SocketSample{
		row(1, heldBy(alice), direction(Inbound)),
		row(1, heldBy(alice), reconnected),
	} {
		v = tracker.Update(&Snapshot{Taken: epoch, Sockets: []SocketSample{r}, Processes: []Process{process(alice)}, PIDs: []int{10}})
	}
	if got := v.Holders[0].Ended.Sockets[0].Direction; got != UnknownDirection {
		t.Errorf("direction %v, want unknown", got)
	}
}
