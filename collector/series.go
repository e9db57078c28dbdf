package collector

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"closewait_exporter/closewait"
)

// newDescs returns the descriptors of the table's metrics, at the same indices.
func newDescs(pidLabel bool) []*prometheus.Desc {
	descs := make([]*prometheus.Desc, len(table))
	for i, m := range table {
		labels := slices.Clone(m.Labels)
		if !pidLabel {
			labels = slices.DeleteFunc(labels, func(l string) bool { return l == "pid" || l == "comm" })
		}
		descs[i] = prometheus.NewDesc(m.Name, m.Help, labels, nil)
	}
	return descs
}

// series are the metrics of one scrape. add panics if the labels do not match the table.
type series struct {
	descs   []*prometheus.Desc
	metrics []prometheus.Metric
}

// Describe implements prometheus.Collector. It describes nothing, because a series is used for one
// scrape only.
func (s *series) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *series) Collect(out chan<- prometheus.Metric) {
	for _, m := range s.metrics {
		out <- m
	}
}

func (s *series) add(m metric, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if table[m].Type == Counter {
		kind = prometheus.CounterValue
	}
	s.metrics = append(s.metrics, prometheus.MustNewConstMetric(s.descs[m], kind, value, labels...))
}

func (s *series) addHistogram(m metric, h closewait.Histogram, labels ...string) {
	buckets := make(map[float64]uint64, len(h.Bounds))
	for i, bound := range h.Bounds {
		buckets[bound] = h.Counts[i]
	}
	s.metrics = append(s.metrics, prometheus.MustNewConstHistogram(s.descs[m], h.Count, h.Sum, buckets, labels...))
}
