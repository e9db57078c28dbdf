package closewait

import (
	"testing"
	"time"
)

func TestASocketThatIsConfirmedHasNotLeft(t *testing.T) {
	tracker := NewTracker([]float64{1})
	scan := func(at time.Duration, confirmed []uint64, rows ...SocketSample) *View {
		s := &Snapshot{Taken: epoch.Add(at), Sockets: rows, Processes: []Process{process(alice)}, PIDs: []int{alice.PID}}
		for _, cookie := range confirmed {
			s.Confirmed = append(s.Confirmed, CookieID(testNS, cookie))
		}
		return tracker.Update(s)
	}
	one, two := row(1, heldBy(alice)), row(2, heldBy(alice))
	for _, c := range []struct {
		name      string
		rows      []SocketSample
		confirmed []uint64
		want      string
	}{
		{"seen", []SocketSample{one, two}, nil, "p100 2+0 entered=2 left=0 [1 age=0s quiet=0s] [2 age=0s quiet=0s]; total=2 gone=0"},
		{"missed once, and not there: it may be there in the next scan", []SocketSample{one}, nil, "p100 1+0 entered=2 left=0 [1 age=1s quiet=1s]; total=1 gone=0"},
		{"missed twice, and there", []SocketSample{one}, []uint64{2}, "p100 1+0 entered=2 left=0 [1 age=2s quiet=2s]; total=1 gone=0"},
		{"missed three times, and there", []SocketSample{one}, []uint64{2}, "p100 1+0 entered=2 left=0 [1 age=3s quiet=3s]; total=1 gone=0"},
		{"seen again", []SocketSample{one, two}, nil, "p100 2+0 entered=2 left=0 [1 age=4s quiet=4s] [2 age=4s quiet=4s]; total=2 gone=0"},
		{"missed once more, and there", []SocketSample{one}, []uint64{2}, "p100 1+0 entered=2 left=0 [1 age=5s quiet=5s]; total=1 gone=0"},
		{"missed twice, and not there", []SocketSample{one}, nil, "p100 1+0 entered=2 left=1 [1 age=6s quiet=6s]; total=1 gone=1"},
		{"forgotten", []SocketSample{one}, nil, "p100 1+0 entered=2 left=1 [1 age=7s quiet=7s]; total=1 gone=1"},
		{"confirmed without having been listed", []SocketSample{one}, []uint64{2}, "p100 1+0 entered=2 left=1 [1 age=8s quiet=8s]; total=1 gone=1"},
	} {
		v := scan(time.Duration(tracker.scan)*time.Second, c.confirmed, c.rows...)
		if got := describe(v); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
