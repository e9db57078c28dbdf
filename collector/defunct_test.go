package collector

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

const defunctMetric = "closewait_process_defunct_sockets"

// defunctHolder has only defunct sockets, with the given ages.
func defunctHolder(pid int, ages ...time.Duration) *closewait.Holder {
	h := holderOf(pid, holding(), holding())
	sockets := make([]*closewait.Socket, len(ages))
	for i, age := range ages {
		sockets[i] = gone(aged(uint64(pid*100+i), age, pid))
	}
	h.Defunct = holding(sockets...)
	return h
}

func TestDefunctSocketsArePublishedAsFarAsTheyAreKnown(t *testing.T) {
	holders := []*closewait.Holder{
		defunctHolder(1, time.Hour, time.Second), defunctHolder(2, time.Minute),
		holderOf(3, holding(aged(7, time.Minute, 3)), holding()),
	}
	for name, test := range map[string]struct {
		allDefunct, pidLabel bool
		holders              []*closewait.Holder
		want                 map[string]float64
	}{
		"all of them are seen: 0 is a number": {true, true, holders, map[string]float64{"1": 2, "2": 1, "3": 0}},
		"some are seen: 0 would be wrong":     {false, true, holders, map[string]float64{"1": 2, "2": 1}},
		"they are added up by group":          {true, false, holders, map[string]float64{"": 3}},
		"the number of a group is unknown":    {false, false, holders[2:], map[string]float64{}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(&closewait.View{Taken: taken, Holders: test.holders, AllDefunct: test.allDefunct})
			o.PIDLabel = test.pidLabel
			got := map[string]float64{}
			for _, m := range families(t, New(o).Gatherer(t.Context()), protobuf)[defunctMetric].GetMetric() {
				pid := ""
				for _, l := range m.GetLabel() {
					if l.GetName() == "pid" {
						pid = l.GetValue()
					}
				}
				got[pid] = m.GetGauge().GetValue()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("by pid (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAgesIncludeDefunctSockets(t *testing.T) {
	for name, pidLabel := range map[string]bool{"of a process": true, "of a group": false} {
		t.Run(name, func(t *testing.T) {
			h := defunctHolder(1, time.Hour, 30*time.Second)
			h.Held, h.Unaccepted = holding(aged(1, time.Minute, 1)), holding(aged(2, 5*time.Second, 1))
			o := options(&closewait.View{Taken: taken, Holders: []*closewait.Holder{h}})
			o.PIDLabel, o.AgeBuckets = pidLabel, []float64{10, 60}
			f := families(t, New(o).Gatherer(t.Context()), protobuf)
			ages := f["closewait_process_socket_age_seconds"].GetMetric()[0].GetHistogram()
			got := []uint64{ages.GetBucket()[0].GetCumulativeCount(), ages.GetBucket()[1].GetCumulativeCount(), ages.GetSampleCount()}
			if diff := cmp.Diff([]uint64{1, 3, 4}, got); diff != "" {
				t.Errorf("at most 10 s, at most 60 s, all (-want +got):\n%s", diff)
			}
			if sum := ages.GetSampleSum(); sum != 3600+30+60+5 {
				t.Errorf("sum of ages is %v", sum)
			}
			if oldest := f["closewait_process_oldest_socket_age_seconds"].GetMetric()[0].GetGauge().GetValue(); oldest != 3600 {
				t.Errorf("the oldest is %v s old, want an hour", oldest)
			}
			if held := f["closewait_process_sockets"].GetMetric()[0].GetGauge().GetValue(); held != 1 {
				t.Errorf("%v sockets in CLOSE_WAIT, want 1", held)
			}
		})
	}
}

func TestAProcessWithDefunctSocketsAloneIsListedOrOmitted(t *testing.T) {
	both := gone(aged(1, time.Minute, 1, 2))
	one, two := defunctHolder(1), defunctHolder(2)
	one.Defunct, two.Defunct = holding(both), holding(both, gone(aged(2, time.Minute, 2)))
	view := &closewait.View{Taken: taken, Holders: []*closewait.Holder{two, one, defunctHolder(3, 999*time.Millisecond)}}
	if got := len(closewait.Listed(view, time.Second)); got != 2 {
		t.Errorf("%d processes are listed, want the 2 whose sockets are old enough", got)
	}
	for room, want := range map[int]int{2: 0, 1: 0, 0: 2} {
		if got := omittedSockets(view.Holders[:room], view.Holders[room:2]); got != want {
			t.Errorf("room for %d: %d sockets are omitted, want %d, each counted once", room, got, want)
		}
	}
}
