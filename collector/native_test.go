package collector

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"closewait_exporter/closewait"
)

const durationMetric = "closewait_socket_duration_seconds"

// bucketsOf decodes the buckets of a native histogram: the count by upper bound.
func bucketsOf(h *dto.Histogram) map[float64]int64 {
	buckets := map[float64]int64{}
	bucket, delta, count := 0, 0, int64(0)
	for _, span := range h.GetPositiveSpan() {
		bucket += int(span.GetOffset())
		for range span.GetLength() {
			count += h.GetPositiveDelta()[delta]
			if count != 0 {
				buckets[closewait.BoundOf(bucket)] = count
			}
			bucket++
			delta++
		}
	}
	return buckets
}

func TestDurationsAreANativeHistogramToo(t *testing.T) {
	view := richView()
	view.Durations = closewait.Histogram{
		Bounds: []float64{1, 60}, Counts: []uint64{3, 4}, Count: 5, Sum: 4097,
		Exponential: map[int]int64{0: 1, -8: 1, 3: 1, 96: 1}, Zero: 1, // 1, 0.5, 1.3 and 4,096 s
	}
	g := New(options(view)).Gatherer(t.Context())
	h := families(t, g, protobuf)[durationMetric].GetMetric()[0].GetHistogram()
	if diff := cmp.Diff(map[float64]int64{0.5: 1, 1: 1, math.Exp2(3.0 / 8): 1, 4096: 1}, bucketsOf(h)); diff != "" || h.GetSchema() != 3 || h.GetZeroCount() != 1 {
		t.Errorf("schema %d, %d of 0, and by upper bound (-want +got):\n%s", h.GetSchema(), h.GetZeroCount(), diff)
	}
	if len(h.GetBucket()) != 2 || h.GetBucket()[1].GetCumulativeCount() != 4 || h.GetSampleCount() != 5 {
		t.Errorf("the classic buckets are %v", h)
	}
	if text := body(t, scrape(t, g, classicText)); !bytes.Contains(text, []byte("\n"+durationMetric+`_bucket{le="60"} 4`+"\n")) {
		t.Errorf("no classic bucket in\n%s", text)
	}
}

func TestDurationsWithoutObservationsAreNative(t *testing.T) {
	view := richView()
	view.Durations = closewait.NewHistogram([]float64{1})
	view.Durations.Exponential = map[int]int64{}
	h := families(t, New(options(view)).Gatherer(t.Context()), protobuf)[durationMetric].GetMetric()[0].GetHistogram()
	if h.Schema == nil || h.GetZeroThreshold() == 0 {
		t.Errorf("Prometheus takes %v for a classic histogram", h)
	}
}
