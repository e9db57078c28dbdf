package collector

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
)

var dtoTypes = map[dto.MetricType]Type{
	dto.MetricType_COUNTER:         Counter,
	dto.MetricType_GAUGE:           Gauge,
	dto.MetricType_HISTOGRAM:       Histogram,
	dto.MetricType_GAUGE_HISTOGRAM: GaugeHistogram,
}

func TestEveryMetricOfTheTableIsPublishedAndNoOther(t *testing.T) {
	published := map[string]Metric{}
	for name, f := range families(t, New(options(richView())).Gatherer(t.Context()), protobuf) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		published[name] = Metric{name, dtoTypes[f.GetType()], labels, f.GetHelp()}
	}
	tabled := map[string]Metric{}
	for _, m := range Metrics() {
		if _, twice := tabled[m.Name]; twice {
			t.Errorf("%s is in the table twice", m.Name)
		}
		m.Labels = slices.Sorted(slices.Values(m.Labels))
		tabled[m.Name] = m
	}
	if diff := cmp.Diff(tabled, published); diff != "" {
		t.Errorf("-table +published:\n%s", diff)
	}
}

func TestAFailedScanSaysNothingOfTheHost(t *testing.T) {
	o := options(nil)
	o.Observe = failures["failed"]
	got := slices.Sorted(maps.Keys(families(t, New(o).Gatherer(t.Context()), classicText)))
	want := []string{
		"closewait_exporter_build_info", "closewait_scan_duration_seconds", "closewait_scan_errors_total",
		"closewait_scan_success", "closewait_scanner_info",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
