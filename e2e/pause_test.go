package e2e

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// tolerance is the error by which an age may be too small. It must never be too large.
const tolerance = time.Second

// moment is the time at which something happened, as far as the test knows it.
type moment struct{ earliest, latest time.Time }

func during(do func()) moment {
	m := moment{earliest: time.Now()}
	do()
	m.latest = time.Now()
	return m
}

// requireAge compares the age of the oldest socket of a process with the time at which it was
// leaked. Scrapes may share a scan that is a second old, so the time of the scan is known only to a
// second.
func requireAge(t *testing.T, e *exporter, pid int, leaked moment, scannedAfter time.Time) {
	t.Helper()
	age := time.Duration(e.scrape().one("closewait_process_oldest_socket_age_seconds", of(pid)...) * float64(time.Second))
	least, most := scannedAfter.Sub(leaked.latest)-tolerance, time.Since(leaked.earliest)
	if age < least || age > most {
		t.Errorf("the oldest socket of process %d is %v old, want from %v to %v", pid, age, least, most)
	}
}

// pause is how long the exporter is stopped.
const pause = 3 * time.Second

// TestAStoppedExporterGoesOn stops the exporter, as a debugger, a freezer or a laptop lid does,
// while sockets are leaked and closed.
func TestAStoppedExporterGoesOn(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	e := serve(t)
	var l *leaktest.Leak
	leaked := during(func() { l = leaktest.Start(t, "--sockets=3") })
	before := e.await(func(m metrics) (bool, string) {
		return m.sockets(l.PID) == 3, fmt.Sprintf("process %d has %d sockets, want 3", l.PID, m.sockets(l.PID))
	})

	e.signal(syscall.SIGSTOP)
	answers := make(chan string, 1)
	go func() {
		status, _, err := e.ask("/metrics")
		answers <- fmt.Sprint(status, " ", err)
	}()
	l.Do("leak 2")
	l.Do("close 1")
	time.Sleep(pause) // the pause is what is tested
	woken := time.Now()
	e.signal(syscall.SIGCONT)

	if got, want := <-answers, fmt.Sprint(http.StatusOK, " ", nil); got != want {
		t.Errorf("a scrape during the pause was answered with %s, want %s", got, want)
	}
	after := e.await(func(m metrics) (bool, string) { // a socket has left when two scans have missed it
		left := m.sum("closewait_process_sockets_left_total", of(l.PID)...)
		return left == 1, fmt.Sprintf("%v sockets have left, want 1", left)
	})
	if n := after.sockets(l.PID); n != 4 {
		t.Errorf("process %d has %d sockets, want 4", l.PID, n)
	}
	if n := after.one("closewait_process_sockets_entered_total", of(l.PID)...); n != 5 {
		t.Errorf("%v sockets have entered, want 5", n)
	}
	if was, is := before.one("process_start_time_seconds"), after.one("process_start_time_seconds"); was != is {
		t.Errorf("the exporter has been restarted: at %v, before at %v", is, was)
	}
	requireAge(t, e, l.PID, leaked, woken)
}

// TestAgesOutliveTheExporter kills the exporter. The next one has to know the ages of sockets from
// before it started.
func TestAgesOutliveTheExporter(t *testing.T) {
	leaktest.RequireRoot(t)
	if leaktest.TablesOnly() {
		t.Skip("the tables in /proc have no times")
	}
	t.Parallel()
	first := serve(t)
	var l *leaktest.Leak
	leaked := during(func() { l = leaktest.Start(t, "--sockets=3") })
	first.await(func(m metrics) (bool, string) {
		age := m.sum("closewait_process_oldest_socket_age_seconds", of(l.PID)...)
		return age > pause.Seconds(), fmt.Sprintf("the oldest socket is %v s old, want more than %v", age, pause)
	})
	if status, _ := first.end(syscall.SIGKILL); status != -1 {
		t.Errorf("exit status %d, want none: it was killed", status)
	}

	restarted := time.Now()
	second := serve(t)
	requireAge(t, second, l.PID, leaked, restarted)
	m := second.scrape()
	if n := m.one("closewait_process_socket_age_seconds_bucket", append(of(l.PID), "le", "1")...); n != 0 {
		t.Errorf("%v sockets are at most a second old, want none", n)
	}
	if n := m.sockets(l.PID); n != 3 {
		t.Errorf("process %d has %d sockets, want 3", l.PID, n)
	}
}
