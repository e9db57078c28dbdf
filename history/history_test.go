package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"closewait_exporter/closewait"
)

// start is the time of the first View of all tests.
var start = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// process is a process as a View names it.
type process struct {
	pid     int
	unit    string
	uid     uint32
	started time.Duration // after start
	sockets int           // ended
	fds     uint64
	limit   uint64 // 0: neither is known
}

func (p process) id() closewait.ProcessID {
	return closewait.ProcessID{PID: p.pid, Start: uint64(p.started + 24*time.Hour)}
}

func (p process) described() *closewait.Process {
	return &closewait.Process{
		ID: p.id(), Comm: "server", Unit: p.unit, UID: p.uid, StartTime: start.Add(p.started),
		FDsKnown: p.limit != 0, OpenFDs: p.fds, MaxFDs: p.limit,
	}
}

// sockets are as many as any test needs. Only their number counts.
var sockets [10000]*closewait.Socket

// at is a View of these processes at a time after start.
func at(d time.Duration, processes ...process) *closewait.View {
	v := &closewait.View{Taken: start.Add(d)}
	for _, p := range processes {
		h := &closewait.Holder{Process: *p.described()}
		h.Ended.Sockets = sockets[:p.sockets]
		v.Holders = append(v.Holders, h)
	}
	return v
}

func near(got, want float64) bool { return math.Abs(got-want) <= 0.02*math.Abs(want)+1e-9 }

func TestGrowthAndTheTimeThatIsLeft(t *testing.T) {
	type sample struct {
		sockets    int
		fds, limit uint64
	}
	random := rand.New(rand.NewPCG(1, 2))
	tests := []struct {
		name     string
		interval func(i int) time.Duration
		samples  int
		of       func(d time.Duration) sample
		perHour  float64       // of ended connections
		left     time.Duration // -1: not known
	}{
		{"a leak of one a second", every(5 * time.Second), 120,
			func(d time.Duration) sample { return sample{int(d.Seconds()), 100 + uint64(d.Seconds()), 4096} }, 3600, 3401 * time.Second},
		{"scanned at irregular times", func(i int) time.Duration { return time.Duration(1+i%5*15) * time.Second }, 100,
			func(d time.Duration) sample { return sample{int(d.Seconds()), 100 + uint64(d.Seconds()), 4096} }, 3600, 933 * time.Second},
		{"for hours, of which only the last minutes count", every(time.Second), 3 * 3600,
			func(d time.Duration) sample {
				late := max(d-2*time.Hour, 0)
				return sample{int(late.Seconds()), 100 + uint64(late.Seconds()), 8192}
			}, 3600, 4493 * time.Second},
		{"twelve an hour", every(15 * time.Second), 240,
			func(d time.Duration) sample {
				return sample{int(d / (5 * time.Minute)), 100 + uint64(d/(5*time.Minute)), 1024}
			}, 12, 76 * time.Hour},
		{"a pool that stays", every(15 * time.Second), 40, func(time.Duration) sample { return sample{50, 300, 1024} }, 0, -1},
		{"a pool, and clients that come and go", every(15 * time.Second), 60,
			func(time.Duration) sample { return sample{50, 300 + random.Uint64N(100), 1024} }, 0, -1},
		{"a leak that is being closed", every(5 * time.Second), 100,
			func(d time.Duration) sample { return sample{1000 - int(d.Seconds()), 1100 - uint64(d.Seconds()), 4096} }, -3600, -1},
		{"all are used up", every(5 * time.Second), 300,
			func(d time.Duration) sample { n := min(uint64(d.Seconds()), 500); return sample{int(n), 524 + n, 1024} }, 0, 0},
		{"no limit", every(5 * time.Second), 100,
			func(d time.Duration) sample {
				return sample{int(d.Seconds()), uint64(d.Seconds()), closewait.UnlimitedFDs}
			}, 3600, -1},
		{"descriptors that cannot be read", every(5 * time.Second), 100,
			func(d time.Duration) sample { return sample{int(d.Seconds()), 0, 0} }, 3600, -1},
		{"too short to say", every(4 * time.Second), 3,
			func(d time.Duration) sample { return sample{int(d.Seconds()), uint64(d.Seconds()), 1024} }, 0, -1},
		{"two scans", every(time.Minute), 2, func(d time.Duration) sample { return sample{int(d.Seconds()), uint64(d.Seconds()), 1024} }, 0, -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, now := New(), time.Duration(0)
			p := process{pid: 7}
			for i := range test.samples {
				s := test.of(now)
				p.sockets, p.fds, p.limit = s.sockets, s.fds, s.limit
				h.Add(at(now, p))
				now += test.interval(i)
			}
			trend := h.Process(p.id())
			if got := trend.Sockets.PerSecond * 3600; !near(got, test.perHour) && math.Abs(got-test.perHour) > 2 {
				t.Errorf("%g an hour, want %g", got, test.perHour)
			}
			left := trend.Left
			if !trend.RunsOut {
				left = -1
			}
			if d := left - test.left; (left < 0) != (test.left < 0) || d.Abs() > test.left/8+time.Second {
				t.Errorf("%s left, want %s", left, test.left)
			}
			if trend.Sockets.Over > Window {
				t.Errorf("measured over %s", trend.Sockets.Over)
			}
		})
	}
}

func every(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

func TestWhatIsNotKnownHasNoTrend(t *testing.T) {
	h := New()
	if got := h.Process(closewait.ProcessID{PID: 7}); got != (Trend{}) {
		t.Errorf("%+v", got)
	}
	if got := h.Group(&closewait.Process{Comm: "x"}); got != (GroupTrend{}) {
		t.Errorf("%+v", got)
	}
}

func TestTheHistoryOfAGroupGoesOnOverRestarts(t *testing.T) {
	h := New()
	const life = 22 * time.Minute
	var last process
	for now := time.Duration(0); now < 4*life; now += 15 * time.Second {
		number := now / life
		age := now % life
		last = process{pid: 100 + int(number), unit: "shop.service", started: number*life - time.Second, sockets: int(age.Seconds()), fds: 1, limit: 9}
		if number > 0 {
			last.started = number*life + time.Second
		}
		if age < 5*time.Second {
			h.Add(at(now)) // it is being started
			continue
		}
		h.Add(at(now, last))
	}
	group := h.Group(last.described())
	if group.Restarts != 3 || !group.Since.Equal(start.Add(15*time.Second)) {
		t.Errorf("%d restarts since %s, want 3", group.Restarts, group.Since)
	}
	h.Add(at(4*life, process{pid: 200, unit: "shop.service", started: 4*life - time.Second, sockets: 1}))
	h.Add(at(4*life+15*time.Second, process{pid: 200, unit: "shop.service", started: 4*life - time.Second, sockets: 15}))
	if got := h.Group(last.described()); got.Restarts != 4 || !near(got.Sockets.PerSecond, 1) && math.Abs(got.Sockets.PerSecond-1) > 0.1 {
		t.Errorf("after another restart %+v, want one a second", got)
	}
}

func TestProcessesOfAPoolAreNoRestarts(t *testing.T) {
	h := New()
	a := process{pid: 1, unit: "pool.service", started: -2 * time.Hour}
	b := process{pid: 2, unit: "pool.service", started: -time.Hour}
	for i := range 20 {
		now := time.Duration(i) * time.Minute
		a.sockets, b.sockets = i%2, 1-i%2 // in turn
		h.Add(at(now, a, b))
	}
	c := process{pid: 3, unit: "pool.service", started: 19*time.Minute + time.Second, sockets: 1}
	a.sockets = 1
	h.Add(at(20*time.Minute, a, c)) // a new one beside an old one
	if got := h.Group(a.described()).Restarts; got != 0 {
		t.Errorf("%d restarts", got)
	}
}

func TestGroupsByCommAreGroupsPerUser(t *testing.T) {
	h := New()
	mine, theirs := process{pid: 1, uid: 1000, started: -time.Hour}, process{pid: 2, uid: 1001, started: -time.Hour}
	for i := range 20 {
		mine.sockets, theirs.sockets = 10*i, 1
		h.Add(at(time.Duration(i)*10*time.Second, mine, theirs))
	}
	if got := h.Group(mine.described()).Sockets.PerSecond; !near(got, 1) {
		t.Errorf("the group grows by %g a second, want 1", got)
	}
	if got := h.Group(theirs.described()).Sockets.PerSecond; got != 0 {
		t.Errorf("the group of another user grows by %g a second, want 0", got)
	}
}

func TestAProcessThatClosesAllIsNoRestart(t *testing.T) {
	h := New()
	p := process{pid: 1, unit: "saw.service", started: -time.Hour, fds: 1, limit: 9}
	for i := range 200 { // a sawtooth: garbage collection closes all
		p.sockets = i % 50 * 2
		if p.sockets == 0 {
			h.Add(at(time.Duration(i) * 10 * time.Second))
			continue
		}
		h.Add(at(time.Duration(i)*10*time.Second, p))
	}
	if got := h.Group(p.described()); got.Restarts != 0 || math.Abs(got.Sockets.PerSecond) > 0.2 {
		t.Errorf("%+v, want no restart, and no growth over several teeth", got)
	}
}

func TestTheSameViewCountsOnce(t *testing.T) {
	h := New()
	p := process{pid: 1, sockets: 5}
	for range 3 {
		h.Add(at(time.Minute, p))
	}
	h.Add(at(time.Second, p))
	if got := len(h.processes[p.id()].series); got != 1 {
		t.Errorf("%d points, want 1", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	h := New()
	for i := range 200 {
		var all []process
		for pid := range 3 * maxSeries { // other processes in each View, in other groups
			all = append(all, process{pid: pid + i*5, unit: fmt.Sprint("u", pid+i*5), started: -time.Hour, sockets: 1})
		}
		h.Add(at(time.Duration(i)*time.Second, all...))
		if len(h.processes) > maxSeries || len(h.groups) > maxSeries {
			t.Fatalf("%d processes and %d groups, want at most %d", len(h.processes), len(h.groups), maxSeries)
		}
	}
	for _, p := range h.processes {
		if len(p.series) > maxPoints || cap(p.series) > 4*maxPoints {
			t.Fatalf("%d points of %d", len(p.series), cap(p.series))
		}
	}
	h.Add(at(keep + 300*time.Second))
	if len(h.processes) != 0 || len(h.groups) != 0 {
		t.Errorf("%d processes and %d groups are remembered for ever", len(h.processes), len(h.groups))
	}
}

func TestTheWorstAreRemembered(t *testing.T) {
	h := New()
	worst := process{pid: 1, unit: "worst.service", started: -time.Hour}
	for i := range 20 {
		worst.sockets = 10 * i
		all := []process{worst}
		for pid := range 3 * maxSeries {
			all = append(all, process{pid: 10 + pid, unit: fmt.Sprint("u", (pid+i)%1000), started: -time.Hour, sockets: 1})
		}
		h.Add(at(time.Duration(i)*10*time.Second, all...))
	}
	if got := h.Process(worst.id()).Sockets.PerSecond; !near(got, 1) {
		t.Errorf("the worst process grows by %g a second, want 1", got)
	}
}

func TestASeriesThinsOutAndKeepsThePast(t *testing.T) {
	var s series
	for now := time.Duration(0); now < 8*time.Hour; now += 2 * time.Second {
		s.add(point{at: start.Add(now), sockets: int(now.Seconds())})
		for i := 1; i < len(s); i++ {
			if !s[i].at.After(s[i-1].at) {
				t.Fatalf("points out of order at %s", now)
			}
		}
	}
	oldest, newest := s[0].at, s[len(s)-1].at
	if span := newest.Sub(oldest); len(s) > maxPoints || span > keep || span < keep-30*time.Minute {
		t.Errorf("%d points over %s", len(s), span)
	}
	if n := len(s.recent()); n < maxPoints/4 {
		t.Errorf("only %d points in the last %s", n, Window)
	}
	for i := 1; i < len(s); i++ {
		gap, age := s[i].at.Sub(s[i-1].at), newest.Sub(s[i-1].at)
		if gap > 30*time.Second+age/4 {
			t.Errorf("a gap of %s, %s ago", gap, age)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	h := New()
	p := process{pid: 1, sockets: 5}
	done := make(chan bool)
	for range 4 {
		go func() {
			for i := range 200 {
				h.Add(at(time.Duration(i)*time.Second, p))
				h.Process(p.id())
				h.Group(p.described())
			}
			done <- true
		}()
	}
	for range 4 {
		<-done
	}
	if got := h.processes[p.id()].lastSeen; !got.Equal(start.Add(199 * time.Second)) {
		t.Errorf("the last View was of %s", got)
	}
}
