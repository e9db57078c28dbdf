package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// observed is an exporter with one of the scanners, and what its metrics have said about servers.
type observed struct {
	*exporter
	scanner   string
	allClosed bool // it sees closed sockets that it has not seen before they were closed
	kernelAge bool // it reads from the kernel how long ago a connection has ended

	last    interval                       // of the latest scrape
	slowest time.Duration                  // longest scan
	seen    map[*hangingServer][]time.Time // when it had seen the end of each connection at the latest
}

// observe starts an exporter with each scanner. The first has the default scanner, which is the
// best that works here.
func observe(t *testing.T) []*observed {
	t.Helper()
	var all []*observed
	for _, scanner := range []string{"auto", "netlink", "procfs"} {
		o := &observed{exporter: serve(t, "--collector.scanner="+scanner), seen: map[*hangingServer][]time.Time{}}
		o.scanner = o.scrape().all("closewait_scanner_info")[0].labels["scanner"]
		if slices.ContainsFunc(all, func(other *observed) bool { return other.scanner == o.scanner }) {
			continue
		}
		o.allClosed, o.kernelAge = o.scanner == "ebpf", o.scanner != "procfs"
		all = append(all, o)
	}
	return all
}

// check scrapes, and compares what the metrics say about the servers with what their clients did.
func (o *observed) check(servers []*hangingServer) {
	o.t.Helper()
	from := time.Now()
	m := o.scrape()
	took := time.Duration(m.one("closewait_scan_duration_seconds") * float64(time.Second))
	o.slowest = max(o.slowest, took)
	o.last = interval{from.Add(-sharedScan - took), time.Now()} // the scan can be older than the scrape
	for _, s := range servers {
		ends := s.ends()
		for i := len(o.seen[s]); i < surely(ends, o.last.from); i++ {
			o.seen[s] = append(o.seen[s], o.last.to)
		}
		o.checkServer(m, s, ends)
	}
}

func (o *observed) checkServer(m metrics, s *hangingServer, ends []end) {
	o.t.Helper()
	n := m.sockets(s.pid)
	if n == 0 && (len(ends) == 0 || o.last.from.Sub(o.known(s, 0, ends[0])) < minAge) {
		return
	}
	complain := func(format string, args ...any) {
		o.t.Helper()
		o.t.Errorf("%s, %v after %d leaks: %s", o.scanner, s, len(ends), fmt.Sprintf(format, args...))
	}
	if least, most := surely(ends, o.last.from), possibly(ends, o.last.to); n < least || n > most {
		complain("%d sockets, want %d to %d", n, least, most)
		return
	}
	entered, left := m.sum("closewait_process_sockets_entered_total", of(s.pid)...), m.sum("closewait_process_sockets_left_total", of(s.pid)...)
	if int(entered) != n || left != 0 {
		complain("%v entered and %v left, want %d and 0", entered, left, n)
	}
	closed := m.all("closewait_process_sockets", append(of(s.pid), "state", "closed")...)
	switch {
	case o.allClosed && len(closed) == 0:
		complain("no series of closed sockets, and all are seen")
	case !o.allClosed && len(closed) > 0 && closed[0].value == 0:
		complain("0 closed sockets, and not all are seen")
	case !s.keepalive && len(closed) > 0 && closed[0].value > 0:
		complain("%v closed sockets, and nothing has closed them", closed[0].value)
	}
	o.checkAges(m, s, ends[:n], complain)
}

// minAge is the age from which on a socket makes its process listed, by default.
const minAge = time.Second

// tick bounds by how much an age from the kernel can be too large: it counts in ticks.
const tick = 10 * time.Millisecond

// beforeProbes is less than the idle time after which keepalive probes are sent. An answer to a
// probe hides how long ago a connection has ended.
const beforeProbes = 10 * time.Second

// known returns the latest time from which the age of a socket may count.
func (o *observed) known(s *hangingServer, socket int, e end) time.Time {
	seen := o.seen[s]
	if socket >= len(seen) {
		return o.last.to
	}
	if o.kernelAge && (!s.keepalive || seen[socket].Before(e.to.Add(beforeProbes))) {
		return e.to.Add(delivery + o.slowest) // an age is what it was when the socket was read
	}
	return seen[socket]
}

// checkAges compares the oldest age and the sum of all ages with the clock of the clients.
func (o *observed) checkAges(m metrics, s *hangingServer, ends []end, complain func(string, ...any)) {
	o.t.Helper()
	var least, most, leastOldest, mostOldest float64
	for i, e := range ends {
		youngest := max(o.last.from.Sub(o.known(s, i, e)), 0).Seconds()
		oldest := (o.last.to.Sub(e.from) + tick).Seconds()
		least, most = least+youngest, most+oldest
		leastOldest, mostOldest = max(leastOldest, youngest), max(mostOldest, oldest)
	}
	if age := oldest(m, s.pid); age < leastOldest || age > mostOldest {
		complain("the oldest socket is %v s old, want %v to %v", age, leastOldest, mostOldest)
	}
	if sum := m.sum("closewait_process_socket_age_seconds_sum", of(s.pid)...); sum < least || sum > most {
		complain("the sockets are %v s old together, want %v to %v", sum, least, most)
	}
	if n := m.sum("closewait_process_socket_age_seconds_count", of(s.pid)...); int(n) != len(ends) {
		complain("ages of %v sockets, want %d", n, len(ends))
	}
}

// passing is the maximum number of other sockets that may end meanwhile: a scan sees some
// connections between the programs of the test on their way through CLOSE_WAIT.
const passing = 5

// checkDurations waits until the sockets that a server has closed are counted, and compares the
// durations with the clocks of the clients and the server.
func (o *observed) checkDurations(t *testing.T, s *hangingServer, before metrics, closed interval) {
	t.Helper()
	const durations = "closewait_socket_duration_seconds"
	ends := s.ends()
	var after metrics
	var others int
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		after = o.scrape()
		others = int(after.one(durations+"_count")-before.one(durations+"_count")) - len(ends)
		return others >= 0 && after.sockets(s.pid) == 0, fmt.Sprintf("%s, %v: %d durations missing", o.scanner, s, -others)
	})
	if others > passing {
		t.Errorf("%s, %v: %d durations too many", o.scanner, s, others)
	}
	// A duration ends with the last scan that has seen the socket. Scanners that do not see all closed
	// sockets read only the descriptors of some in each scan.
	until := closed.to
	if !o.allClosed && s.keepalive {
		until = time.Now()
	}
	var least, most []float64
	for i, e := range ends {
		least = append(least, max(o.last.from.Sub(o.known(s, i, e)), 0).Seconds())
		most = append(most, (until.Sub(e.from) + tick).Seconds())
	}
	for range others {
		most = append(most, maxWait.Seconds())
	}
	sum := after.one(durations+"_sum") - before.one(durations+"_sum")
	if total(least) > sum || sum > total(most) {
		t.Errorf("%s, %v: the sockets were open for %v s together, want %v to %v", o.scanner, s, sum, total(least), total(most))
	}
	for _, bucket := range after.all(durations + "_bucket") {
		bound := bucket.labels["le"]
		n := int(bucket.value - before.one(durations+"_bucket", "le", bound))
		limit, err := strconv.ParseFloat(bound, 64)
		must(t, err)
		within := func(seconds float64) bool { return seconds <= limit }
		if lowest, highest := countFunc(most, within), countFunc(least, within)+others; n < lowest || n > highest {
			t.Errorf("%s, %v: %d sockets were open for at most %s s, want %d to %d", o.scanner, s, n, bound, lowest, highest)
		}
	}
}

func total(list []float64) (sum float64) {
	for _, value := range list {
		sum += value
	}
	return sum
}
