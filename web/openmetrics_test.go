package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// histograms exports a histogram and a gauge histogram with similar names.
func histograms(context.Context) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		registry := prometheus.NewRegistry()
		for _, name := range []string{"ages", "ages_other", "durations"} {
			h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: "A \n# TYPE other gaugehistogram\n.", Buckets: []float64{1}})
			h.Observe(0.5)
			registry.MustRegister(h)
		}
		families, err := registry.Gather()
		families[0].Type = dto.MetricType_GAUGE_HISTOGRAM.Enum()
		return families, err
	})
}

func TestOpenMetricsHasTheSuffixesOfAGaugeHistogram(t *testing.T) {
	f := newFixture(t, seen, func(o *Options) { o.Gatherer, o.WithoutExporterMetrics = histograms, true })
	text := f.ask(http.MethodGet, "/metrics", "Accept: application/openmetrics-text; version=1.0.0").Body.String()
	var samples []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			samples = append(samples, strings.TrimSpace(line))
		}
	}
	want := `ages_bucket{le="1.0"} 1|ages_bucket{le="+Inf"} 1|ages_gsum 0.5|ages_gcount 1|` +
		`ages_other_bucket{le="1.0"} 1|ages_other_bucket{le="+Inf"} 1|ages_other_sum 0.5|ages_other_count 1|` +
		`durations_bucket{le="1.0"} 1|durations_bucket{le="+Inf"} 1|durations_sum 0.5|durations_count 1`
	if got := strings.Join(samples, "|"); got != want {
		t.Errorf("samples are\n%s\nwant\n%s", got, want)
	}
	if classic := f.ask(http.MethodGet, "/metrics").Body.String(); !strings.Contains(classic, "\nages_count 1\n") {
		t.Errorf("the classic format has other suffixes:\n%s", classic)
	}
}

func TestOpenMetricsIsCorrectedHoweverItIsWritten(t *testing.T) {
	text := "# TYPE a gaugehistogram\na_sum{x=\"1\"} 2\na_count 3\n# TYPE b gauge\na_count 1\n# EOF\n"
	want := "# TYPE a gaugehistogram\na_gsum{x=\"1\"} 2\na_gcount 3\n# TYPE b gauge\na_count 1\n# EOF\n"
	for size := 1; size <= len(text); size++ {
		recorder := httptest.NewRecorder()
		w := &openMetricsWriter{ResponseWriter: recorder}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if written, err := w.Write([]byte(rest[:n])); err != nil || written != n {
				t.Fatalf("%d bytes written of %d: %v", written, n, err)
			}
			rest = rest[n:]
		}
		if got := recorder.Body.String(); got != want {
			t.Errorf("in pieces of %d bytes:\n%s\nwant\n%s", size, got, want)
		}
	}
}
