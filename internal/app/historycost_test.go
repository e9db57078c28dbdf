package app

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"closewait_exporter/closewait"
	"closewait_exporter/collector"
	"closewait_exporter/history"
)

// TestHistoryCost compares scrapes of a host with 100 leaking processes with what it costs to
// remember their Views, in turn. The work of the kernel is left out, so a real scrape costs more,
// and the history less of it.
func TestHistoryCost(t *testing.T) {
	if os.Getenv("CLOSEWAIT_BENCH") == "" {
		t.Skip("make bench runs it")
	}
	const limit, rounds = 1.03, 300
	s, past := newScraped(), history.New()
	scrape, remember := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for i := range rounds {
		started := time.Now()
		s.scrape(t)
		scraped := time.Now()
		past.Add(s.view)
		if full := 100; i > full {
			scrape, remember = min(scrape, scraped.Sub(started)), min(remember, time.Since(scraped))
		}
	}
	ratio := 1 + float64(remember)/float64(scrape)
	t.Logf("scrape with history / without %18.4f <= %8.4f", ratio, limit)
	if ratio > limit {
		t.Errorf("a scrape with a history costs %.4f times as much as one without, want at most %.2f", ratio, limit)
	}
}

// scraped is an exporter without HTTP and without a history.
type scraped struct {
	host      closewait.Snapshot
	view      *closewait.View // the last one
	collector *collector.Collector
}

func newScraped() *scraped {
	const processes, sockets = 100, 100
	s := &scraped{host: closewait.Snapshot{Taken: time.Now(), Complete: closewait.NewStateSet(closewait.EndedStates...)}}
	for pid := 1; pid <= processes; pid++ {
		p := closewait.Process{ID: closewait.ProcessID{PID: pid}, Comm: "leak", Unit: fmt.Sprint("unit-", pid, ".service"), FDsKnown: true, OpenFDs: 2 * sockets, MaxFDs: 1024}
		s.host.Processes, s.host.PIDs = append(s.host.Processes, p), append(s.host.PIDs, pid)
		for i := range sockets {
			facts := closewait.Facts{
				ID: closewait.CookieID(1, uint64(pid*sockets+i)), Inode: uint64(pid*sockets + i), Direction: closewait.Inbound,
				Local: netip.MustParseAddrPort("10.0.0.1:80"), Remote: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(40000+i)),
			}
			s.host.Sockets = append(s.host.Sockets, closewait.SocketSample{Facts: facts, Holders: []closewait.ProcessID{p.ID}})
		}
	}
	scan := func(context.Context) (*closewait.Snapshot, error) {
		now := s.host
		return &now, nil
	}
	o := closewait.NewObserver(context.Background(), scan, closewait.NewTracker(nil), time.Now)
	observe := func(ctx context.Context) (view *closewait.View, err error) {
		s.view, err = o.Observe(ctx)
		return s.view, err
	}
	s.collector = collector.New(collector.Options{
		Observe: observe, ScanErrors: func() map[closewait.ScanError]uint64 { return nil }, MaxProcesses: processes, MaxServices: 10,
		AgeBuckets: []float64{1, 10, 60, 300, 900, 3600, 21600, 86400}, OldAge: 5 * time.Minute, PIDLabel: true,
	})
	return s
}

func (s *scraped) scrape(t *testing.T) {
	s.host.Taken = s.host.Taken.Add(15 * time.Second)
	families, err := s.collector.Gatherer(t.Context()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(io.Discard, f); err != nil {
			t.Fatal(err)
		}
	}
}
