package dashboards

import (
	"slices"
	"strings"
	"testing"

	"closewait_exporter/collector"
	"closewait_exporter/reaper"
)

// foreign are metrics of Prometheus and of its Go client.
var foreign = []collector.Metric{
	{Name: "up", Type: collector.Gauge},
	{Name: "ALERTS", Type: collector.Gauge, Labels: []string{"alertname", "alertstate", "severity", "group"}},
	{Name: "process_cpu_seconds_total", Type: collector.Counter},
	{Name: "process_resident_memory_bytes", Type: collector.Gauge},
}

// published returns the metrics of our packages.
func published() []collector.Metric {
	return slices.Concat(collector.Metrics(), reaper.MetricTable())
}

// series returns the labels of each series of the metrics, including the labels of the target.
func series(metrics ...[]collector.Metric) map[string][]string {
	labels := map[string][]string{}
	for _, m := range slices.Concat(metrics...) {
		own := append([]string{"job", "instance"}, m.Labels...)
		switch m.Type {
		case collector.Histogram, collector.GaugeHistogram:
			labels[m.Name+"_count"], labels[m.Name+"_sum"] = own, own
			labels[m.Name+"_bucket"] = append([]string{"le"}, own...)
			labels[m.Name] = own // as a native histogram
		default:
			labels[m.Name] = own
		}
	}
	return labels
}

func TestQueriesUseOnlyExistingMetricsAndLabels(t *testing.T) {
	known := series(published(), foreign)
	for _, q := range queries(t, load(t)) {
		found := parse(q.expr)
		var anywhere []string
		for _, use := range found.metrics {
			labels, exists := known[use.name]
			if !exists {
				t.Errorf("%s: there is no metric %s", q.where, use.name)
			}
			anywhere = append(anywhere, labels...)
			for _, label := range use.labels {
				if !slices.Contains(labels, label) {
					t.Errorf("%s: %s has no label %s, only %q", q.where, use.name, label, labels)
				}
			}
		}
		for _, label := range append(found.labels, q.labels...) {
			if !slices.Contains(anywhere, label) {
				t.Errorf("%s: none of its metrics has a label %s", q.where, label)
			}
		}
	}
}

func TestEveryMetricIsShown(t *testing.T) {
	var shown strings.Builder
	for _, q := range queries(t, load(t)) {
		for _, use := range parse(q.expr).metrics {
			shown.WriteString(use.name + "\n")
		}
	}
	for _, m := range published() {
		if !strings.Contains(shown.String(), m.Name) {
			t.Errorf("%s is in no panel", m.Name)
		}
	}
}
