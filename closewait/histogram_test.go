package closewait

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExponentialBucketsHoldWhatIsAboveTheBoundBefore(t *testing.T) {
	h := NewHistogram([]float64{1, 60})
	h.Exponential = map[int]int64{}
	for _, value := range []float64{0, -1, 1e-6, 0.5, 1, math.Nextafter(1, 2), 59, 60, 86400, 1e9} {
		before := h.clone()
		h.observe(value)
		for bucket, n := range h.Exponential {
			if n != before.Exponential[bucket] && (value > BoundOf(bucket) || value <= BoundOf(bucket-1)) {
				t.Errorf("%v is in the bucket from %v to %v", value, BoundOf(bucket-1), BoundOf(bucket))
			}
		}
		if before.Count != h.Count-1 {
			t.Errorf("a clone has changed with the original")
		}
	}
	total := h.Zero
	for _, n := range h.Exponential {
		total += uint64(n)
	}
	if total != h.Count || h.Zero != 2 {
		t.Errorf("%d observations in buckets, %d of 0 or less, want %d and 2", total, h.Zero, h.Count)
	}
	if diff := cmp.Diff([]uint64{5, 8}, h.Counts); diff != "" {
		t.Errorf("classic buckets (-want +got):\n%s", diff)
	}
}

func TestAHistogramWithoutExponentialBucketsHasNone(t *testing.T) {
	h := NewHistogram([]float64{1})
	h.observe(0)
	h.observe(2)
	if h.Exponential != nil || h.Zero != 0 {
		t.Errorf("there are exponential buckets: %v", h)
	}
}
