package closewait

import "slices"

// Histogram counts observations in buckets, as Prometheus does: Counts[i] is the number of
// observations of at most Bounds[i], so each bucket includes all smaller ones.
type Histogram struct {
	Bounds []float64 // ascending, without +Inf
	Counts []uint64
	Count  uint64
	Sum    float64
}

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
}

func (h *Histogram) clone() Histogram {
	c := *h
	c.Counts = slices.Clone(h.Counts)
	return c
}
