package e2e

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics are the samples of one scrape.
type metrics struct {
	t       testing.TB
	samples []sample
}

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// parse reads the classic text format strictly.
func parse(t testing.TB, text string) metrics {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("/metrics is not valid: %v\n%s", err, text)
	}
	m := metrics{t: t}
	for name, family := range families {
		for _, series := range family.Metric {
			m.add(name, series)
		}
	}
	return m
}

func (m *metrics) add(name string, series *dto.Metric) {
	labels := map[string]string{}
	for _, label := range series.Label {
		labels[label.GetName()] = label.GetValue()
	}
	histogram := series.Histogram
	if histogram == nil {
		m.samples = append(m.samples, sample{name, labels, series.GetGauge().GetValue() + series.GetCounter().GetValue() + series.GetUntyped().GetValue()})
		return
	}
	m.samples = append(m.samples, sample{name + "_count", labels, float64(histogram.GetSampleCount())}, sample{name + "_sum", labels, histogram.GetSampleSum()})
	for _, bucket := range histogram.Bucket {
		within := maps.Clone(labels)
		within["le"] = strconv.FormatFloat(bucket.GetUpperBound(), 'f', -1, 64)
		m.samples = append(m.samples, sample{name + "_bucket", within, float64(bucket.GetCumulativeCount())})
	}
}

// all returns the samples of a metric with these labels: name, value, name, value.
func (m metrics) all(name string, labels ...string) []sample {
	var found []sample
	for _, s := range m.samples {
		if s.name == name && has(s.labels, labels) {
			found = append(found, s)
		}
	}
	return found
}

func has(labels map[string]string, pairs []string) bool {
	for i := 0; i+1 < len(pairs); i += 2 {
		if labels[pairs[i]] != pairs[i+1] {
			return false
		}
	}
	return true
}

// one returns the value of the only sample; there must be exactly one.
func (m metrics) one(name string, labels ...string) float64 {
	m.t.Helper()
	found := m.all(name, labels...)
	if len(found) != 1 {
		m.t.Fatalf("%d samples of %s%v, want one: %v", len(found), name, labels, found)
	}
	return found[0].value
}

// sum adds the values of the samples; it is 0 where there are none.
func (m metrics) sum(name string, labels ...string) (total float64) {
	for _, s := range m.all(name, labels...) {
		total += s.value
	}
	return total
}

// of returns the labels of a process.
func of(pid int) []string { return []string{"pid", strconv.Itoa(pid)} }

// sockets is the number of sockets that a process holds; 0 if it is not listed.
func (m metrics) sockets(pid int) int { return int(m.sum("closewait_process_sockets", of(pid)...)) }

// faults is the number of times that a stage of a scan has failed for a reason.
func (m metrics) faults(stage, reason string) float64 {
	m.t.Helper()
	return m.one("closewait_scan_errors_total", "stage", stage, "reason", reason)
}
