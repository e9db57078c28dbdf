package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// TestRunsOutOfDescriptors lowers the limit of the running exporter until scans fail, and raises it
// again. Scans may fail in between, but no number may be wrong.
func TestRunsOutOfDescriptors(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	const sockets = 3
	l := leaktest.Start(t, "--sockets="+strconv.Itoa(sockets))
	e := serve(t)
	good := e.await(func(m metrics) (bool, string) { return m.sockets(l.PID) == sockets, "not listed" })
	scraper := openScraper(t, e)
	original := limitOf(t, e.pid)

	failed := 0
	for headroom := range 6 {
		leaveHeadroom(t, e.pid, headroom)
		scraper.outwaitSharedScan()
		m := scraper.scrape(t)
		success, seen := m.one("closewait_scan_success"), m.sockets(l.PID)
		switch {
		case success == 1 && seen == sockets:
		case success == 1:
			t.Errorf("%d more descriptors: success, but %d sockets of process %d, want %d", headroom, seen, l.PID, sockets)
		case limitFaults(m) <= limitFaults(good):
			t.Errorf("%d more descriptors: the scan has failed, and no fault is counted", headroom)
		default:
			failed++
		}
	}
	if failed == 0 {
		t.Error("no limit was low enough to make a scan fail: the test proves nothing")
	}

	setLimit(t, e.pid, original)
	after := e.await(func(m metrics) (bool, string) { // over a new connection
		return m.one("closewait_scan_success") == 1 && m.sockets(l.PID) == sockets, fmt.Sprintf("%d sockets, want %d", m.sockets(l.PID), sockets)
	})
	entered, left := after.one("closewait_process_sockets_entered_total", of(l.PID)...), after.one("closewait_process_sockets_left_total", of(l.PID)...)
	if entered != sockets || left != 0 {
		t.Errorf("%v sockets have entered and %v have left, want %d and none: nothing has changed", entered, left, sockets)
	}
	if age, was := oldest(after, l.PID), oldest(good, l.PID); age < was {
		t.Errorf("the oldest socket is %v s old, and was %v s old before", age, was)
	}
}

// TestStartsWithFewDescriptors shows that 20 descriptors are enough. It scrapes over one
// connection, as Prometheus does: on a loaded machine the exporter may not have closed the
// connection of the scrape before, and each of them takes a descriptor.
func TestStartsWithFewDescriptors(t *testing.T) {
	leaktest.RequireRoot(t)
	leaktest.RequireProgram(t, "prlimit")
	l := leaktest.Start(t, "--sockets=3")
	e := start(t, exec.Command("prlimit", "--nofile=20", program(t), anyPort))
	scraper := openScraper(t, e)
	var m metrics
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		m = scraper.scrape(t)
		return m.sockets(l.PID) == 3, "not listed:\n" + e.log.String()
	})
	if limitFaults(m) != 0 {
		t.Errorf("%v faults because of the limit of descriptors", limitFaults(m))
	}
}

func oldest(m metrics, pid int) float64 {
	m.t.Helper()
	return m.one("closewait_process_oldest_socket_age_seconds", of(pid)...)
}

func limitFaults(m metrics) float64 {
	return m.sum("closewait_scan_errors_total", "reason", "limit")
}

func limitOf(t *testing.T, pid int) unix.Rlimit {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	return limit
}

func setLimit(t *testing.T, pid int, limit unix.Rlimit) {
	t.Helper()
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// leaveHeadroom lowers the soft limit of a process so that it can open only the given number of
// descriptors.
func leaveHeadroom(t *testing.T, pid, more int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	open := map[int]bool{}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		open[fd] = true
	}
	limit := limitOf(t, pid)
	limit.Cur = 0
	for free := 0; open[int(limit.Cur)] || free < more; limit.Cur++ { // descriptors above it stay open
		if !open[int(limit.Cur)] {
			free++
		}
	}
	setLimit(t, pid, limit)
}

// scraper scrapes over one connection, as Prometheus does.
type scraper struct {
	connection net.Conn
	answers    *bufio.Reader
	address    string
}

func openScraper(t *testing.T, e *exporter) *scraper {
	t.Helper()
	connection, err := net.Dial("tcp", e.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	s := &scraper{connection, bufio.NewReader(connection), e.address}
	s.scrape(t)
	return s
}

// outwaitSharedScan waits until the last scan is too old to be shared with the next scrape.
func (s *scraper) outwaitSharedScan() { time.Sleep(sharedScan) }

// sharedScan is how long the exporter answers scrapes with the same scan.
const sharedScan = time.Second

func (s *scraper) scrape(t *testing.T) metrics {
	t.Helper()
	if err := s.connection.SetDeadline(time.Now().Add(maxWait)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(s.connection, "GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n", s.address); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(s.answers, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", answer.StatusCode, err, text)
	}
	return parse(t, string(text))
}
