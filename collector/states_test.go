package collector

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"closewait_exporter/closewait"
)

// holderIn has sockets in one state, with the given ages.
func holderIn(state closewait.State, pid int, ages ...time.Duration) *closewait.Holder {
	h := holderOf(pid, holding(), holding())
	sockets := make([]*closewait.Socket, len(ages))
	for i, age := range ages {
		sockets[i] = in(state, aged(uint64(pid*100+i), age, pid))
	}
	if state.Ended() {
		h.Ended = holding(sockets...)
	} else {
		h.Other = holding(sockets...)
	}
	return h
}

// valuesOf returns the values of a metric by pid, which is empty without that label, and state.
func valuesOf(f *dto.MetricFamily) map[string]float64 {
	values := map[string]float64{}
	for _, m := range f.GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		values[labels["pid"]+" "+labels["state"]] = m.GetGauge().GetValue()
	}
	return values
}

func TestEachStateIsExportedAsFarAsItIsKnown(t *testing.T) {
	ten := slices.Repeat([]time.Duration{time.Second}, 10) // enough of another state to be listed
	holders := []*closewait.Holder{
		holderIn(closewait.CloseWait, 1, time.Minute),
		holderIn(closewait.Closed, 2, time.Hour, time.Second),
		holderIn(closewait.FinWait2, 3, ten...),
		holderIn(closewait.Unconnected, 4, ten...),
	}
	for name, test := range map[string]struct {
		complete     closewait.StateSet
		pidLabel     bool
		holders      []*closewait.Holder
		ended, other map[string]float64
	}{
		"all states are seen: 0 is a number": {everyState, true, holders, map[string]float64{
			"1 close_wait": 1, "2 close_wait": 0, "3 close_wait": 0, "4 close_wait": 0,
			"1 closed": 0, "2 closed": 2, "3 closed": 0, "4 closed": 0,
		}, map[string]float64{
			"1 fin_wait2": 0, "2 fin_wait2": 0, "3 fin_wait2": 10, "4 fin_wait2": 0,
			"1 unconnected": 0, "2 unconnected": 0, "3 unconnected": 0, "4 unconnected": 10,
		}},
		"some sockets are seen: 0 would be wrong": {
			closewait.NewStateSet(closewait.CloseWait), true, holders,
			map[string]float64{"1 close_wait": 1, "2 close_wait": 0, "3 close_wait": 0, "4 close_wait": 0, "2 closed": 2},
			map[string]float64{"3 fin_wait2": 10, "4 unconnected": 10},
		},
		"a group has the sum": {
			everyState, false, holders,
			map[string]float64{" close_wait": 1, " closed": 2}, map[string]float64{" fin_wait2": 10, " unconnected": 10},
		},
		"the number of a group is unknown": {
			closewait.NewStateSet(closewait.CloseWait), false, holders[:1],
			map[string]float64{" close_wait": 1}, map[string]float64{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(&closewait.View{Taken: taken, Holders: test.holders, Complete: test.complete})
			o.PIDLabel = test.pidLabel
			f := families(t, New(o).Gatherer(t.Context()), protobuf)
			for metric, want := range map[string]map[string]float64{
				"closewait_process_sockets": test.ended, "closewait_process_other_sockets": test.other,
			} {
				if diff := cmp.Diff(want, valuesOf(f[metric])); diff != "" {
					t.Errorf("%s by pid and state (-want +got):\n%s", metric, diff)
				}
			}
		})
	}
}

func TestAgesAreThoseOfEndedAndUnacceptedSockets(t *testing.T) {
	for name, pidLabel := range map[string]bool{"of a process": true, "of a group": false} {
		t.Run(name, func(t *testing.T) {
			h := holderOf(1, holding(
				aged(1, time.Minute, 1), in(closewait.Closed, aged(2, time.Hour, 1)), in(closewait.Closed, aged(3, 30*time.Second, 1)),
			), holding(aged(4, 5*time.Second, 1), aged(5, 30*time.Minute, 1)))
			h.Other = holding(in(closewait.FinWait2, aged(6, 24*time.Hour, 1)))
			o := options(&closewait.View{Taken: taken, Holders: []*closewait.Holder{h}})
			o.PIDLabel, o.AgeBuckets = pidLabel, []float64{10, 60}
			f := families(t, New(o).Gatherer(t.Context()), protobuf)
			ages := f["closewait_process_socket_age_seconds"].GetMetric()[0].GetHistogram()
			got := []uint64{ages.GetBucket()[0].GetCumulativeCount(), ages.GetBucket()[1].GetCumulativeCount(), ages.GetSampleCount()}
			if diff := cmp.Diff([]uint64{1, 3, 5}, got); diff != "" {
				t.Errorf("at most 10 s, at most 60 s, all (-want +got):\n%s", diff)
			}
			if sum := ages.GetSampleSum(); sum != 3600+1800+60+30+5 {
				t.Errorf("sum of ages is %v", sum)
			}
			for metric, want := range map[string]float64{
				"closewait_process_oldest_socket_age_seconds": 3600,
				"closewait_process_old_sockets":               1, // without the unaccepted one
			} {
				if got := f[metric].GetMetric()[0].GetGauge().GetValue(); got != want {
					t.Errorf("%s is %v, want %v", metric, got, want)
				}
			}
		})
	}
}

func TestOldSocketsAreOlderThanFiveMinutes(t *testing.T) {
	h := holderOf(1, holding(aged(1, 5*time.Minute, 1), aged(2, 5*time.Minute+1, 1), aged(3, time.Hour, 1)), holding())
	f := families(t, New(options(&closewait.View{Taken: taken, Holders: []*closewait.Holder{h}})).Gatherer(t.Context()), protobuf)
	if got := f["closewait_process_old_sockets"].GetMetric()[0].GetGauge().GetValue(); got != 2 {
		t.Errorf("%v old sockets, want 2", got)
	}
}

func TestTheTopRemoteRatioOfAGroupIsThatOfItsWorstProcess(t *testing.T) {
	spread := holderOf(1, holding(
		leaked(1, "10.0.0.1:80", "192.0.2.1:1", time.Minute, 0, id(1)), leaked(2, "10.0.0.1:80", "192.0.3.1:1", time.Minute, 0, id(1)),
	), holding())
	single := holderOf(2, holding(aged(3, time.Minute, 2)), holding())
	o := options(&closewait.View{Taken: taken, Holders: []*closewait.Holder{spread, single}})
	o.PIDLabel = false
	f := families(t, New(o).Gatherer(t.Context()), protobuf)
	if got := f["closewait_process_top_remote_ratio"].GetMetric()[0].GetGauge().GetValue(); got != 1 {
		t.Errorf("ratio is %v, want 1, the share in the second process", got)
	}
}

func TestAProcessWithOneStateAloneIsListedOrOmitted(t *testing.T) {
	both := in(closewait.Closed, aged(1, time.Minute, 1, 2))
	one, two := holderOf(1, holding(both), holding()), holderOf(2, holding(both, in(closewait.Closed, aged(2, time.Minute, 2))), holding())
	waiting := holderIn(closewait.FinWait2, 4, slices.Repeat([]time.Duration{time.Second}, 10)...)
	view := &closewait.View{Taken: taken, Holders: []*closewait.Holder{
		waiting, two, one, holderIn(closewait.Closed, 3, 999*time.Millisecond), holderIn(closewait.Unconnected, 5, append(slices.Repeat([]time.Duration{time.Second}, 9), 0)...),
	}}
	listed := closewait.Listed(view, time.Second)
	if diff := cmp.Diff([]*closewait.Holder{waiting, two, one}, listed, cmp.Comparer(func(a, b *closewait.Holder) bool { return a == b })); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	for room, want := range map[int]int{3: 0, 2: 0, 1: 2, 0: 12} {
		if got := omittedSockets(listed[:room], listed[room:]); got != want {
			t.Errorf("room for %d: %d sockets are omitted, want %d, each counted once", room, got, want)
		}
	}
}
