// Package collector makes metrics of a View: one table of their names, types, labels and help, and
// a Gatherer that looks at the host once for each scrape.
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

// Options say where a Collector gets its Views from, and how much of them it shows. Counts must not
// be negative.
type Options struct {
	// Observe returns a View, and the error of ctx when that ends first.
	Observe func(ctx context.Context) (*closewait.View, error)
	// ScanErrors returns how often each kind of fault has happened, also those that never did.
	ScanErrors func() map[closewait.ScanError]uint64
	// Scanner names the engine behind Observe.
	Scanner string

	MinAge       time.Duration // a process is listed while it has a socket at least so old
	MaxProcesses int           // so many processes are listed, the worst
	MaxServices  int           // so many services of a process are told apart, the most frequent
	AgeBuckets   []float64     // seconds, ascending
	PIDLabel     bool          // false: processes are added up by group
}

// Collector makes metrics of Views. It keeps nothing from one scrape to the next and may be used by
// several at once.
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

// Gatherer returns the Gatherer of one scrape. It gathers no longer than ctx allows, and a scan that
// failed or took longer is no error: closewait_scan_success tells, and nothing is said of the host.
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
	for fault, n := range c.options.ScanErrors() {
		s.add(scanErrors, float64(n), fault.Stage, fault.Reason)
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

// markGaugeHistograms gives gauge histograms their type. client_golang can only make histograms, and
// the two differ in nothing else.
func markGaugeHistograms(families []*dto.MetricFamily) {
	for _, family := range families {
		if slices.ContainsFunc(table, func(m Metric) bool {
			return m.Type == GaugeHistogram && m.Name == family.GetName()
		}) {
			family.Type = dto.MetricType_GAUGE_HISTOGRAM.Enum()
		}
	}
}
