package closewait

import (
	"maps"
	"math"
	"slices"
)

// Histogram counts observations in buckets, as Prometheus does: Counts[i] is the number of
// observations of at most Bounds[i], so each bucket includes all smaller ones.
type Histogram struct {
	Bounds []float64 // ascending, without +Inf
	Counts []uint64
	Count  uint64
	Sum    float64

	// Exponential has the same observations in narrow buckets, nil if they are not wanted: bucket i
	// is for those above BoundOf(i-1) and of at most BoundOf(i). Zero is the number of observations
	// of 0, or less.
	Exponential map[int]int64
	Zero        uint64
}

// ExponentialSchema is the resolution of Exponential, as Prometheus numbers them: 2^3 buckets for
// each power of two, so a bound is 9 % above the one before.
const ExponentialSchema = 3

// BoundOf returns the upper bound of an exponential bucket.
func BoundOf(bucket int) float64 { return math.Exp2(float64(bucket) / (1 << ExponentialSchema)) }

// NewHistogram returns an empty histogram with the given ascending bounds.
func NewHistogram(bounds []float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds))}
}

func (h *Histogram) observe(value float64) {
	h.Count++
	h.Sum += value
	first, _ := slices.BinarySearch(h.Bounds, value)
	for i := first; i < len(h.Bounds); i++ {
		h.Counts[i]++
	}
	switch {
	case h.Exponential == nil:
	case value <= 0:
		h.Zero++
	default:
		h.Exponential[int(math.Ceil(math.Log2(value)*(1<<ExponentialSchema)))]++
	}
}

func (h *Histogram) clone() Histogram {
	c := *h
	c.Counts, c.Exponential = slices.Clone(h.Counts), maps.Clone(h.Exponential)
	return c
}
