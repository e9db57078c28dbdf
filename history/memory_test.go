package history

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// TestAHundredProcessesTakeAMegabyteAtMost measures what stays allocated after twice the time that
// is remembered, so that points have been dropped and slices have grown.
func TestAHundredProcessesTakeAMegabyteAtMost(t *testing.T) {
	const most, processes = 1 << 20, 100
	var all []process
	for pid := range processes {
		all = append(all, process{pid: pid + 1, unit: fmt.Sprint("unit-", pid, ".service"), started: -time.Hour, sockets: 1, fds: 100, limit: 4096})
	}
	views := at(0, all...)
	allocated := func() uint64 {
		runtime.GC()
		runtime.GC() // what finalizers have kept
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := allocated()
	h := New()
	for now := time.Duration(0); now < 2*keep; now += time.Minute {
		views.Taken = start.Add(now)
		h.Add(views)
	}
	taken := int64(allocated()) - int64(before)
	t.Logf("%d bytes", taken)
	if taken > most || taken < most/20 {
		t.Errorf("%d bytes for %d processes, want at most %d", taken, processes, most)
	}
	if len(h.processes) != processes || len(h.groups) != processes {
		t.Errorf("%d processes and %d groups", len(h.processes), len(h.groups))
	}
}
