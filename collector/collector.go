// Package collector turns a View into metrics. It has one table with names, types, labels and
// help of all metrics, and a Gatherer that scans the host at each scrape.
package collector

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"

	"closewait_exporter/closewait"
)

// Options of a Collector. Counts must not be negative.
type Options struct {
	// Observe returns a View, or the error of ctx if ctx ends first.
	Observe func(ctx context.Context) (*closewait.View, error)
	// ScanErrors returns the number of errors of each kind, including kinds that never happened.
	ScanErrors func() map[closewait.ScanError]uint64
	// Scanner is the name of the scanner behind Observe.
	Scanner string

	MinAge       time.Duration // minimum age of a socket before its process is exported
	MaxProcesses int           // maximum number of exported processes, worst first
	MaxServices  int           // maximum number of services per process, most sockets first
	AgeBuckets   []float64     // seconds, ascending
	OldAge       time.Duration // age above which closewait_process_old_sockets counts a socket
	PIDLabel     bool          // false: processes are summed by group
}

// Collector turns Views into metrics. It keeps no state between scrapes and is safe for concurrent
// use.
type Collector struct {
	options   Options
	descs     []*prometheus.Desc
	buildInfo prometheus.Collector
}

// New returns a Collector.
func New(o Options) *Collector {
	return &Collector{
		options:   o,
		descs:     newDescs(o.PIDLabel),
		buildInfo: version.NewCollector("closewait_exporter"),
	}
}

// Gatherer returns the Gatherer of one scrape. It waits for the scan until ctx ends. A scan that
// failed or timed out is not an error of the Gatherer: closewait_scan_success is 0 then, and host
// and process metrics are absent.
func (c *Collector) Gatherer(ctx context.Context) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		registry := prometheus.NewRegistry()
		registry.MustRegister(c.buildInfo, c.scrape(ctx))
		families, err := registry.Gather()
		markGaugeHistograms(families)
		return families, err
	})
}

func (c *Collector) scrape(ctx context.Context) *series {
	s := &series{descs: c.descs}
	started := time.Now()
	view, err := c.options.Observe(ctx)
	s.add(scannerInfo, 1, c.options.Scanner)
	for kind, n := range c.options.ScanErrors() {
		s.add(scanErrors, float64(n), kind.Stage, kind.Reason)
	}
	if err != nil {
		s.add(scanSuccess, 0)
		s.add(scanDuration, time.Since(started).Seconds())
		return s
	}
	s.add(scanSuccess, 1)
	s.add(scanDuration, view.Took.Seconds())
	s.add(ownerCoverage, view.Coverage())
	s.addHost(view)
	c.addProcesses(s, view)
	return s
}

func (s *series) addHost(view *closewait.View) {
	for _, family := range closewait.Families {
		for _, owner := range closewait.Owners {
			s.add(hostSockets, float64(view.Sockets.Of(family, owner)), family.String(), owner.String())
		}
	}
	s.addHistogram(hostDuration, view.Durations)
	s.add(hostNamespaces, float64(view.Namespaces))
}

// markGaugeHistograms sets the type of gauge histograms. client_golang can only make histograms,
// which differ in nothing else.
func markGaugeHistograms(families []*dto.MetricFamily) {
	for _, family := range families {
		if slices.ContainsFunc(table, func(m Metric) bool {
			return m.Type == GaugeHistogram && m.Name == family.GetName()
		}) {
			family.Type = dto.MetricType_GAUGE_HISTOGRAM.Enum()
		}
	}
}
