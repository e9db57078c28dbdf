package collector

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

func id(pid int) closewait.ProcessID { return closewait.ProcessID{PID: pid, Start: 1} }

// aged is a socket with its own cookie and the given age, held by the given pids.
func aged(cookie uint64, age time.Duration, pids ...int) *closewait.Socket {
	var holders []closewait.ProcessID
	for _, pid := range pids {
		holders = append(holders, id(pid))
	}
	return leaked(cookie, "10.0.0.1:80", "192.0.2.1:1", age, 0, holders...)
}

func holderOf(pid int, ended, unaccepted closewait.Holding) *closewait.Holder {
	return &closewait.Holder{Process: closewait.Process{ID: id(pid), Comm: "p"}, Ended: ended, Unaccepted: unaccepted}
}

func TestAProcessIsListedWhileOneOfItsSocketsIsOldEnough(t *testing.T) {
	view := &closewait.View{Taken: taken, Holders: []*closewait.Holder{
		holderOf(1, holding(aged(1, time.Minute, 1), aged(2, 0, 1)), holding()),
		holderOf(2, holding(aged(3, 999*time.Millisecond, 2)), holding()),
		holderOf(3, holding(aged(4, 0, 3)), holding(aged(5, time.Second, 3))),
		holderOf(4, holding(), holding(aged(6, 0, 4))),
	}}
	for minAge, want := range map[time.Duration][]int{
		0:               {1, 2, 3, 4},
		time.Second:     {1, 3},
		time.Minute:     {1},
		2 * time.Minute: nil,
	} {
		var got []int
		for _, h := range closewait.Listed(view, minAge) {
			got = append(got, h.ID.PID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("min age %v (-want +got):\n%s", minAge, diff)
		}
	}
}

func TestOmittedProcessesAndSocketsAreCounted(t *testing.T) {
	var (
		inAll   = aged(10, time.Minute, 1, 2, 3)
		inTwo   = aged(11, time.Minute, 2, 3)
		queued  = aged(12, time.Minute, 2, 3)
		lonely1 = aged(13, time.Minute, 1)
		lonely2 = aged(14, time.Minute, 2)
		lonely3 = aged(15, 0, 3)
	)
	view := &closewait.View{Taken: taken, Holders: []*closewait.Holder{
		holderOf(1, holding(inAll, lonely1), holding()),
		holderOf(2, holding(inAll, inTwo, lonely2), holding(queued)),
		holderOf(3, holding(inAll, inTwo, lonely3), holding(queued)),
		holderOf(4, holding(aged(16, 0, 4)), holding()), // hidden by the minimum age, so not omitted
	}}
	for name, test := range map[string]struct{ room, processes, sockets int }{
		"room for all":                             {3, 0, 0},
		"more room than processes":                 {100, 0, 0},
		"what a listed process has is not omitted": {2, 1, 1},
		"what two omitted have counts once":        {1, 2, 4},
		"no room":                                  {0, 3, 6},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(view)
			o.MaxProcesses = test.room
			f := families(t, New(o).Gatherer(t.Context()), classicText)
			for metric, want := range map[string]int{
				"closewait_processes_omitted": test.processes,
				"closewait_sockets_omitted":   test.sockets,
			} {
				if got := int(f[metric].GetMetric()[0].GetGauge().GetValue()); got != want {
					t.Errorf("%s is %d, want %d", metric, got, want)
				}
			}
			if got, want := len(f["closewait_process_start_time_seconds"].GetMetric()), min(test.room, 3); got != want {
				t.Errorf("%d processes are listed, want %d", got, want)
			}
		})
	}
}
