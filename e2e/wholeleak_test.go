package e2e

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestALeakIsOneLeakInEveryLanguage runs servers that leak one connection a second. It asks all
// scanners, list, list --watch, and the queries of the documents, the dashboard and the alerts how
// many sockets that makes, how fast their number grows, and when the descriptors run out. What the
// servers and their clients did is the truth. In a Go server the sockets become closed meanwhile.
//
// It runs a Go server for 90 seconds. With CLOSEWAIT_LONG=1 it runs servers in all languages, with
// and without keepalive, for ten minutes.
func TestALeakIsOneLeakInEveryLanguage(t *testing.T) {
	if os.Getenv(leaktest.ScannerVariable) != "" {
		t.Skip("runs all scanners itself")
	}
	leaktest.RequireProgram(t, "prometheus")
	if !onOwnHost(t) {
		return
	}
	r := startLeakRun(t)
	for _, checkpoint := range r.checkpoints {
		for r.elapsed() < checkpoint {
			r.pause()
			r.checkMetrics()
		}
		r.checkClaims()
		r.checkList()
		r.checkWatched()
	}
	r.checkAlerts()
	r.checkClosed()
	r.stopLeaking()
	r.checkLateScanners()
	for len(r.servers) > 0 {
		r.checkEnd()
	}
}

// checkClaims waits until each query says the truth about each server with each scanner.
func (r *leakRun) checkClaims() {
	r.t.Helper()
	for _, c := range r.claims {
		for _, o := range r.exporters {
			for _, s := range r.servers {
				leaktest.Eventually(r.t, maxWait, func() (bool, string) { return r.holds(c, o.scanner, s) })
			}
		}
	}
}

// holds compares the answer to a query with the truth.
func (r *leakRun) holds(c claim, scanner string, s *hangingServer) (holds bool, why string) {
	query := c.about(scanner, s.pid, r.span)
	now := time.Now()
	values, err := r.prometheus.Query(query)
	least, most := truth(r.t, c.means, s, now, r.span)
	said := total(values) / c.scale
	return err == nil && len(values) > 0 && said >= least && said <= most,
		fmt.Sprintf("%v, %s: %s is %v, want %v to %v (times %v): %v", s, c.where, query, values, least, most, c.scale, err)
}

// truth returns bounds for a correct answer about a span of time. The latest samples of Prometheus
// are seconds old.
func truth(t *testing.T, means meaning, s *hangingServer, now time.Time, span time.Duration) (least, most float64) {
	t.Helper()
	const stale = 4 * time.Second
	ends := s.ends()
	fewest, all := surely(ends, now.Add(-stale)), possibly(ends, time.Now())
	mean, slope := pace(ends, now, span)
	tolerance := float64(all-fewest+2) / span.Seconds()
	slowest, fastest := min(mean, slope)-tolerance, max(mean, slope)+tolerance
	switch means {
	case number:
		return float64(fewest), float64(all)
	case growth, entering:
		return slowest, fastest
	case timeLeft:
		free := float64(limitOf(t, s.pid).Cur) - float64(s.descriptors(t))
		least, most = free/fastest, (free+float64(all-fewest))/slowest
		if slowest <= 0 {
			most = math.Inf(1)
		}
		return least, most
	}
	return 0, 0
}

// pace returns the number of connections per second that have ended in a span of time: the mean, as
// rate() has it, and the slope of the line through their number, as deriv() has it. They differ
// where the test was not in time.
func pace(ends []end, now time.Time, span time.Duration) (mean, slope float64) {
	var xx, xy float64
	for before := time.Duration(0); before <= span; before += time.Second {
		x := (span/2 - before).Seconds()
		xx += x * x
		xy += x * float64(possibly(ends, now.Add(-before)))
	}
	return float64(possibly(ends, now)-possibly(ends, now.Add(-span))) / span.Seconds(), xy / xx
}

// checkClosed checks that the leak has changed its state where keepalive is on.
func (r *leakRun) checkClosed() {
	r.t.Helper()
	for _, o := range r.exporters {
		from := time.Now()
		m, to := o.scrape(), time.Now()
		for _, s := range r.servers {
			if !s.keepalive {
				continue // checkServer has checked that there are none
			}
			closed := int(m.sum("closewait_process_sockets", append(of(s.pid), "state", "closed")...))
			least, most := surely(s.ends(), from.Add(-r.closedAfter-sharedScan)), possibly(s.ends(), to.Add(-beforeProbes))
			if closed == 0 || closed < least || closed > most {
				r.t.Errorf("%s, %v: %d closed sockets, want %d to %d", o.scanner, s, closed, least, most)
			}
		}
	}
}

// checkLateScanners starts exporters when the sockets of servers with keepalive are closed. Those
// that cannot see them have no number of them, and list says so.
func (r *leakRun) checkLateScanners() {
	r.t.Helper()
	leaktest.EventuallyEvery(r.t, 2*r.closedAfter, time.Second, func() (bool, string) {
		rows := leaktest.SS(r.t, 0)
		held := slices.ContainsFunc(r.servers, func(s *hangingServer) bool { return s.keepalive && len(heldBy(rows, s.pid)) > 0 })
		return !held, "not all sockets with keepalive are closed"
	})
	for _, o := range r.exporters {
		text, _ := listOutput(r.t, nil, "--collector.scanner="+o.scanner)
		if said := bytes.Contains(text, []byte("closed sockets that it has")); said == o.allClosed {
			r.t.Errorf("list with the %s scanner says that it does not see closed sockets: %v\n%s", o.scanner, said, text)
		}
		m := serve(r.t, "--collector.scanner="+o.scanner).await(func(m metrics) (bool, string) {
			for _, s := range r.servers {
				want := len(s.ends())
				if s.keepalive && !o.allClosed {
					want = 0
				}
				if n := m.sockets(s.pid); n != want {
					return false, fmt.Sprintf("a new exporter with the %s scanner: %v has %d sockets, want %d", o.scanner, s, n, want)
				}
				unread := m.sum("closewait_process_sockets_by_unread", append(of(s.pid), "unread", s.unread)...)
				if int(unread) != want && !s.keepalive {
					return false, fmt.Sprintf("a new exporter with the %s scanner: %v has %v sockets with unread=%q, want %d", o.scanner, s, unread, s.unread, want)
				}
			}
			return true, ""
		})
		if closed := m.all("closewait_process_sockets", "state", "closed"); !o.allClosed && len(closed) > 0 {
			r.t.Errorf("a new exporter with the %s scanner has %v closed sockets, and it can see none", o.scanner, closed)
		}
	}
}

// checkEnd lets a server close its sockets. It is not observed afterwards.
func (r *leakRun) checkEnd() {
	r.t.Helper()
	r.pause()
	r.checkMetrics()
	s := r.servers[0]
	r.servers = r.servers[1:]
	before := make([]metrics, len(r.exporters))
	for i, o := range r.exporters {
		before[i] = o.scrape()
	}
	closed := s.close(r.t)
	for i, o := range r.exporters {
		o.checkDurations(r.t, s, before[i], closed)
	}
}
