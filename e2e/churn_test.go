package e2e

import (
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestChurnDoesNotShow scrapes twenty times beside thousands of connections that are closed
// properly. Each of them is in CLOSE_WAIT for a moment.
func TestChurnDoesNotShow(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	const scrapes, sockets = 20, 5
	const perSecond = "500"
	const minAge = "5" // seconds; longer than a program waits for a loaded CPU
	healthy := leaktest.Start(t, "--churn="+perSecond)
	leak := leaktest.Start(t, "--sockets="+strconv.Itoa(sockets))
	both := leaktest.Start(t, "--sockets="+strconv.Itoa(sockets), "--churn="+perSecond)
	e := serve(t, "--collector.min-age="+minAge+"s", "--collector.age-buckets="+minAge)
	e.await(func(m metrics) (bool, string) {
		return m.sockets(leak.PID) == sockets && m.sockets(both.PID) >= sockets, "not listed"
	})

	passing := 0 // healthy sockets that a scrape has seen
	var age float64
	for i := range scrapes {
		time.Sleep(sharedScan) // an earlier scrape would share the last scan
		m := e.scrape()
		if m.one("closewait_scan_success") != 1 {
			t.Errorf("scrape %d: the scan has failed", i)
		}
		entered, left := m.one("closewait_process_sockets_entered_total", of(leak.PID)...), m.one("closewait_process_sockets_left_total", of(leak.PID)...)
		if n := m.sockets(leak.PID); n != sockets || entered != sockets || left != 0 {
			t.Errorf("scrape %d: the leak has %d sockets, %v have entered and %v have left; want %d, %d and 0", i, n, entered, left, sockets, sockets)
		}
		if listed := m.all("closewait_process_sockets", of(healthy.PID)...); len(listed) > 0 {
			t.Errorf("scrape %d: the healthy process has series: %v", i, listed)
		}
		old := m.one("closewait_process_socket_age_seconds_count", of(both.PID)...) - m.one("closewait_process_socket_age_seconds_bucket", append(of(both.PID), "le", minAge)...)
		if n := m.sockets(both.PID); n < sockets || old != sockets {
			t.Errorf("scrape %d: the process with both has %d sockets, and %v are old; want at least %d, and %d", i, n, old, sockets, sockets)
		}
		if before := age; before >= oldest(m, both.PID) {
			t.Errorf("scrape %d: the oldest socket is %v s old, and was %v s before", i, oldest(m, both.PID), before)
		}
		age = oldest(m, both.PID)
		passing += m.sockets(both.PID) - sockets
	}
	if passing == 0 {
		t.Error("no scrape has seen a healthy connection: the test proves nothing")
	}
}
