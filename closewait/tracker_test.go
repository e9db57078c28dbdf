package closewait

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

const testNS NetNS = 4026531840

// scanStep is one scan of a scenario, and what the View of it must say.
type scanStep struct {
	at     time.Duration // since epoch
	rows   []SocketSample
	procs  []Process
	unread []NetNS
	want   string // see describe
}

// row is a sample of the socket with this cookie; edit changes what matters to a test.
func row(cookie uint64, edit ...func(*SocketSample)) SocketSample {
	s := SocketSample{
		Facts: Facts{
			ID:     CookieID(testNS, cookie),
			Local:  netip.MustParseAddrPort("127.0.0.1:8080"),
			Remote: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), uint16(cookie)),
			Inode:  1000 + cookie,
		},
		Owner: OwnedByProcess,
	}
	for _, e := range edit {
		e(&s)
	}
	if len(s.Holders) == 0 && s.Owner == OwnedByProcess {
		s.Owner = OwnedByKernel
	}
	return s
}

func heldBy(ids ...ProcessID) func(*SocketSample) { return func(s *SocketSample) { s.Holders = ids } }
func unaccepted(s *SocketSample)                  { s.Inode, s.Owner = 0, OwnedByListener }
func sending(n uint32) func(*SocketSample)        { return func(s *SocketSample) { s.SendQueue = n } }
func unread(n uint32) func(*SocketSample)         { return func(s *SocketSample) { s.RecvQueue = n } }
func sent(n uint64) func(*SocketSample)           { return func(s *SocketSample) { s.BytesSent = n } }
func timer(t Timer) func(*SocketSample)           { return func(s *SocketSample) { s.Timer = t } }
func closed(s *SocketSample)                      { s.State = Closed }
func halfClosed(s *SocketSample)                  { s.State = FinWait2 }
func unconnected(s *SocketSample)                 { s.State = Unconnected }
func reconnected(s *SocketSample)                 { s.Local = netip.MustParseAddrPort("127.0.0.1:8081") }
func lastACK(d time.Duration) func(*SocketSample) {
	return func(s *SocketSample) { s.HasTimes, s.SinceLastAck, s.SinceLastData = true, d, d+time.Second }
}

var (
	alice = ProcessID{PID: 10, Start: 100}
	bob   = ProcessID{PID: 11, Start: 110}
	carol = ProcessID{PID: 10, Start: 999} // has the pid of alice
)

func process(id ProcessID) Process { return Process{ID: id, Comm: fmt.Sprintf("p%d", id.Start)} }

// describe puts a View into one line: per holder comm, ended+unaccepted, entered, left, closed,
// other and the ages.
func describe(v *View) (text string) {
	for _, h := range v.Holders {
		text += fmt.Sprintf("%s %d+%d entered=%d left=%d", h.Comm, h.Ended.Len(), h.Unaccepted.Len(), h.Entered, h.Left)
		if n := h.Ended.States[Closed]; n > 0 {
			text += fmt.Sprintf(" closed=%d", n)
		}
		if n := h.Other.Len(); n > 0 {
			text += fmt.Sprintf(" other=%d", n)
		}
		for _, holding := range []Holding{h.Ended, h.Unaccepted, h.Other} {
			for _, s := range holding.Sockets {
				text += fmt.Sprintf(" [%d age=%s quiet=%s]", s.ID.Cookie, s.Age(v.Taken), s.Quiet(v.Taken))
			}
		}
		text += "; "
	}
	if n := len(v.Ownerless); n > 0 {
		text += fmt.Sprintf("ownerless=%d; ", n)
	}
	return text + fmt.Sprintf("total=%d gone=%d", v.Sockets.Total(), v.Durations.Count)
}

func TestTrackerRemembersSocketsFromScanToScan(t *testing.T) {
	both := []Process{process(alice), process(bob)}
	only := both[:1]
	scenarios := map[string][]scanStep{
		"an age counts from the first scan where the kernel has no times": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
		},
		"an age counts from the last ACK in the first scan, and keepalive answers do not reset it": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=1h0m0s quiet=1h0m0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Second))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=1h1m0s quiet=1h1m0s]; total=1 gone=0"},
		},
		"a socket that one scan misses is not shown, keeps its age and has not left": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=0s quiet=0s] [2 age=0s quiet=0s]; total=2 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=0 [2 age=1m0s quiet=1m0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=2m0s quiet=2m0s] [2 age=2m0s quiet=2m0s]; total=2 gone=0"},
		},
		"a socket that two scans miss has left": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=0s quiet=0s] [2 age=0s quiet=0s]; total=2 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=0 [2 age=1m0s quiet=1m0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 [2 age=2m0s quiet=2m0s]; total=1 gone=1"},
			{at: 3 * time.Minute, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=3 left=1 [2 age=3m0s quiet=3m0s] [1 age=0s quiet=0s]; total=2 gone=1"},
		},
		"a socket of a namespace that cannot be read stays known for as long as it takes": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, unread: []NetNS{testNS}, procs: only, want: "total=0 gone=0"},
			{at: 2 * time.Minute, unread: []NetNS{testNS}, procs: only, want: "total=0 gone=0"},
			{at: 3 * time.Minute, unread: []NetNS{testNS}, procs: only, want: "total=0 gone=0"},
			{at: 4 * time.Minute, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=4m0s quiet=4m0s]; total=1 gone=0"},
		},
		"a socket that a dump repeats counts once": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice)), row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
		},
		"every holder counts a shared socket, the host counts it once": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice, bob))}, procs: both, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; p110 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
		},
		"a socket that is passed on leaves one process, enters the other and keeps its age": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice, bob))}, procs: both, want: "p100 1+0 entered=1 left=0 [1 age=1m0s quiet=1m0s]; p110 1+0 entered=1 left=0 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(bob))}, procs: both[1:], want: "p110 1+0 entered=1 left=0 [1 age=2m0s quiet=2m0s]; total=1 gone=0"},
			{at: 3 * time.Minute, rows: []SocketSample{row(1, heldBy(bob)), row(2, heldBy(alice))}, procs: both, want: "p110 1+0 entered=1 left=0 [1 age=3m0s quiet=3m0s]; p100 1+0 entered=2 left=1 [2 age=0s quiet=0s]; total=2 gone=0"},
		},
		"an accepted socket moves from the queue to the process and enters it": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), unaccepted)}, procs: only, want: "p100 0+1 entered=0 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
		},
		"a process that reuses the pid of another one begins at zero": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=0s quiet=0s] [2 age=0s quiet=0s]; total=2 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(3, heldBy(carol))}, procs: []Process{process(carol)}, want: "p999 1+0 entered=1 left=0 [3 age=0s quiet=0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(3, heldBy(carol))}, procs: []Process{process(carol)}, want: "p999 1+0 entered=1 left=0 [3 age=1m0s quiet=1m0s]; total=1 gone=2"},
		},
		"a process that holds nothing for a while goes on counting": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, want: "total=0 gone=0"},
			{at: 2 * time.Minute, want: "total=0 gone=1"},
			{at: 3 * time.Minute, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=2 left=1 [2 age=0s quiet=0s]; total=1 gone=1"},
		},
		"a socket without a holder is listed apart until its holder is found": {
			{at: 0, rows: []SocketSample{row(1), row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [2 age=0s quiet=0s]; ownerless=1; total=2 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=1m0s quiet=1m0s] [2 age=1m0s quiet=1m0s]; total=2 gone=0"},
		},
		"a holder that could not be read is not listed, and its sockets count for the host": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, want: "total=1 gone=0"},
		},
	}
	for name, steps := range scenarios {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestTrackerTellsQuietFromMoving(t *testing.T) {
	scenarios := map[string][]scanStep{
		"a half-closed connection that streams is never quiet": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), sent(10))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), sent(20))}, want: "p100 1+0 entered=1 left=0 [1 age=1m0s quiet=0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), sent(20))}, want: "p100 1+0 entered=1 left=0 [1 age=2m0s quiet=1m0s]; total=1 gone=0"},
		},
		"data that waits to be acknowledged is not quiet, however long it waits": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), sending(5), timer(TimerProbe), lastACK(time.Hour))}, want: "p100 1+0 entered=1 left=0 [1 age=1h0m0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), sending(5), timer(TimerProbe), lastACK(time.Hour))}, want: "p100 1+0 entered=1 left=0 [1 age=1h1m0s quiet=0s]; total=1 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice))}, want: "p100 1+0 entered=1 left=0 [1 age=1h2m0s quiet=0s]; total=1 gone=0"},
			{at: 3 * time.Minute, rows: []SocketSample{row(1, heldBy(alice))}, want: "p100 1+0 entered=1 left=0 [1 age=1h3m0s quiet=1m0s]; total=1 gone=0"},
		},
		"an armed keepalive timer is quiet": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), timer(TimerKeepalive))}, want: "p100 1+0 entered=1 left=0 [1 age=1m0s quiet=1m0s]; total=1 gone=0"},
		},
		"a program that reads what is left moves": {
			{at: 0, rows: []SocketSample{row(1, heldBy(alice), unread(6))}, want: "p100 1+0 entered=1 left=0 [1 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), unread(1))}, want: "p100 1+0 entered=1 left=0 [1 age=1m0s quiet=0s]; total=1 gone=0"},
		},
	}
	for name, steps := range scenarios {
		for i := range steps {
			steps[i].procs = []Process{process(alice)}
		}
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func play(t *testing.T, steps []scanStep) {
	t.Helper()
	tracker := NewTracker([]float64{60})
	for i, step := range steps {
		v := tracker.Update(&Snapshot{
			Taken: epoch.Add(step.at), Sockets: step.rows, Processes: step.procs, PIDs: []int{10, 11},
			NetNS: []NetNS{testNS}[:1-len(step.unread)], UnreadableNetNS: step.unread,
		})
		if got := describe(v); got != step.want {
			t.Fatalf("scan %d\n got %s\nwant %s", i+1, got, step.want)
		}
	}
}

func TestTrackerForgetsWhatHasEnded(t *testing.T) {
	tracker := NewTracker(nil)
	for scan := range 100 {
		id := ProcessID{PID: scan, Start: uint64(scan)}
		tracker.Update(&Snapshot{
			Taken: epoch, Sockets: []SocketSample{row(uint64(scan), heldBy(id))}, Processes: []Process{process(id)}, PIDs: []int{scan},
		})
	}
	if len(tracker.sockets) > 2 || len(tracker.holders) != 1 {
		t.Errorf("%d sockets and %d processes remembered, want only sockets and processes of the last two scans", len(tracker.sockets), len(tracker.holders))
	}
}

func TestAViewIsNeverChanged(t *testing.T) {
	tracker := NewTracker([]float64{60})
	update := func(at time.Duration, rows ...SocketSample) *View {
		return tracker.Update(&Snapshot{Taken: epoch.Add(at), Sockets: rows, Processes: []Process{process(alice)}, PIDs: []int{10}})
	}
	first := update(0, row(1, heldBy(alice)), row(2, heldBy(alice)), row(3))
	before := describe(first)
	update(time.Minute, row(2, heldBy(alice), unread(9)), row(3, heldBy(alice)), row(4, heldBy(alice)))
	update(2*time.Minute, row(4, heldBy(alice)))
	if after := describe(first); after != before {
		t.Errorf("first View has changed\nfrom %s\n  to %s", before, after)
	}
}

func TestNothingIsAllocatedForSocketsThatDoNotChange(t *testing.T) {
	allocations := func(sockets uint64) float64 {
		tracker := NewTracker([]float64{60})
		holders := []ProcessID{alice}
		s := &Snapshot{Taken: epoch, Processes: []Process{process(alice)}, PIDs: []int{10}}
		for i := range sockets {
			s.Sockets = append(s.Sockets, row(i+1, heldBy(holders...)))
		}
		tracker.Update(s)
		return testing.AllocsPerRun(10, func() { tracker.Update(s) })
	}
	if few, many := allocations(10), allocations(10_000); many > few {
		t.Errorf("%v allocations for 10 sockets, %v for 10,000", few, many)
	}
}

func BenchmarkTrackerUpdate(b *testing.B) {
	s := &Snapshot{Taken: epoch, Processes: []Process{process(alice)}, PIDs: []int{10}}
	for i := range uint64(100_000) {
		s.Sockets = append(s.Sockets, row(i+1, heldBy(alice)))
	}
	tracker := NewTracker([]float64{1, 60, 3600})
	tracker.Update(s)
	b.ReportAllocs()
	for b.Loop() {
		tracker.Update(s)
	}
}

func BenchmarkTrackerFirstUpdate(b *testing.B) {
	s := &Snapshot{Taken: epoch, Processes: []Process{process(alice)}, PIDs: []int{10}}
	holders := []ProcessID{alice}
	for i := range uint64(100_000) {
		s.Sockets = append(s.Sockets, row(i+1, heldBy(holders...), direction(Inbound), lastACK(time.Duration(i*7919%100_000)*time.Millisecond)))
	}
	b.ReportAllocs()
	for b.Loop() {
		NewTracker([]float64{1, 60, 3600}).Update(s)
	}
}

func TestAHolderThatIsYoungerThanTheListOfProcessesIsListed(t *testing.T) {
	id := ProcessID{PID: 7, Start: 70}
	for _, pids := range [][]int{nil, {6, 8}} {
		tracker := NewTracker(nil)
		for scan := range 3 {
			s := &Snapshot{
				Taken:     time.Unix(int64(scan), 0),
				Sockets:   []SocketSample{{Facts: Facts{ID: CookieID(1, 1), Inode: 1}, Holders: []ProcessID{id}}},
				Processes: []Process{{ID: id}}, PIDs: pids, NetNS: []NetNS{1},
			}
			if v := tracker.Update(s); len(v.Holders) != 1 || v.Holders[0].Ended.Len() != 1 {
				t.Errorf("scan %d without it in the list: %d holders, want it", scan, len(v.Holders))
			}
			pids = []int{6, 7, 8}
		}
	}
}
