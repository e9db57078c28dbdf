package collector

import (
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

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
	classic := prometheus.MustNewConstHistogram(s.descs[m], h.Count, h.Sum, buckets, labels...)
	if h.Exponential == nil {
		s.metrics = append(s.metrics, classic)
		return
	}
	// The times of creation are not known, and not exported.
	native, err := prometheus.NewConstNativeHistogram(s.descs[m], h.Count, h.Sum, h.Exponential, nil, h.Zero,
		closewait.ExponentialSchema,
		prometheus.DefNativeHistogramZeroThreshold, time.Time{}, labels...)
	if err != nil {
		native = prometheus.NewInvalidMetric(s.descs[m], err)
	}
	s.metrics = append(s.metrics, histogram{classic, native})
}

// histogram is a metric with the buckets of both: a scraper that understands native histograms asks
// for protobuf, which has both, and the text formats have the classic buckets.
type histogram struct {
	prometheus.Metric
	native prometheus.Metric
}

// Write implements prometheus.Metric.
func (h histogram) Write(out *dto.Metric) error {
	var native dto.Metric
	if err := errors.Join(h.Metric.Write(out), h.native.Write(&native)); err != nil {
		return err
	}
	from, to := native.GetHistogram(), out.GetHistogram()
	to.Schema, to.ZeroThreshold, to.ZeroCount = from.Schema, from.ZeroThreshold, from.ZeroCount
	to.PositiveSpan, to.PositiveDelta = from.PositiveSpan, from.PositiveDelta
	return nil
}
