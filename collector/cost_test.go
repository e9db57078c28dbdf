package collector

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"closewait_exporter/closewait"
)

// sized is a View with the given number of holders, each with the given number of sockets on one
// service port.
func sized(holders, sockets int) *closewait.View {
	view := &closewait.View{Taken: taken}
	for pid := range holders {
		held := make([]*closewait.Socket, sockets)
		for i := range held {
			s := aged(uint64(pid*sockets+i+1), time.Duration(i)*time.Second, pid)
			s.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 40000)
			held[i] = s
		}
		h := holderOf(pid, closewait.NewHolding(held), closewait.Holding{})
		h.FDsKnown, h.MaxFDs = true, 1024
		view.Holders = append(view.Holders, h)
	}
	return view
}

func TestAScrapeAllocatesTheSameForAnyNumberOfSockets(t *testing.T) {
	allocations := func(sockets int) float64 {
		o := options(sized(6, sockets))
		o.MaxProcesses = 100
		c := New(o)
		return testing.AllocsPerRun(50, func() { c.scrape(t.Context()) })
	}
	if few, many := allocations(10), allocations(10_000); few != many {
		t.Errorf("%v allocations for 10 sockets a process, %v for 10,000", few, many)
	}
}

// docs/METRICS.md promises this number.
const seriesPerProcess = 49

func TestAProcessMakesABoundedNumberOfSeries(t *testing.T) {
	h := tomcat()
	sockets := make([]*closewait.Socket, 0, 2000)
	for port := range uint16(1000) {
		in, out := aged(uint64(port), time.Hour, 1), outbound(aged(uint64(port)+1000, time.Hour, 1))
		in.Local = netip.AddrPortFrom(in.Local.Addr(), port)
		out.Remote = netip.AddrPortFrom(out.Remote.Addr(), port)
		sockets = append(sockets, in, out)
	}
	h.Ended = closewait.NewHolding(sockets)
	o := options(&closewait.View{Taken: taken, Holders: []*closewait.Holder{h}, Complete: everyState})
	o.MaxServices = 10
	series := 0
	for _, f := range families(t, New(o).Gatherer(t.Context()), protobuf) {
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) >= 3 && m.GetLabel()[0].GetName() == "comm" {
				series++
			}
			if f.GetName() == "closewait_process_socket_age_seconds" {
				series += len(m.GetHistogram().GetBucket()) + 2 // le="+Inf", _sum and _count; the histogram itself counts as one
			}
		}
	}
	if series != seriesPerProcess {
		t.Errorf("%d series, want %d", series, seriesPerProcess)
	}
}

func BenchmarkScrape(b *testing.B) {
	for _, sockets := range []int{100, 100_000} {
		for _, pidLabel := range []bool{true, false} {
			b.Run(fmt.Sprintf("sockets=%d/pid-label=%t", sockets, pidLabel), func(b *testing.B) {
				o := options(sized(6, sockets/6))
				o.MaxProcesses, o.PIDLabel = 100, pidLabel
				g := New(o).Gatherer(b.Context())
				b.ReportAllocs()
				for b.Loop() {
					if _, err := g.Gather(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
