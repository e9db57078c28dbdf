package page

import (
	"fmt"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// ageClasses are the age classes of the bars, oldest first, so that the worst part starts at the
// same place in all bars. Sockets that are just closing are all in the last class; alerts start
// at 10 minutes.
var ageClasses = []ageClass{
	{"a5", "over 1 day"}, {"a4", "6–24 h"}, {"a3", "1–6 h"}, {"a2", "10–60 min"}, {"a1", "1–10 min"}, {"a0", "under 1 min"},
}

type ageClass struct {
	Class string // in the style sheet
	Text  string
}

// bounds are the limits between the classes in seconds, ascending.
var bounds = []float64{60, 600, 3600, 21600, 86400}

// ageBar shows the ages of the sockets of a process. Its length is their number.
type ageBar struct {
	Parts  []part
	Text   string // the bar in words
	Median string // half of the sockets are at least this old
}

// part is a part of a bar, in hundredths of the longest bar.
type part struct {
	Class    string
	X, Width float64
}

// The smallest visible bar, and the smallest visible part of a bar.
const (
	minBar  = 6.0
	minPart = 1.5
)

// newAgeBar makes a bar of sockets. most is the number of sockets of the longest bar.
func newAgeBar(h *closewait.Holding, now time.Time, most int) ageBar {
	bar := ageBar{Median: report.Median(h, now)}
	counts := countAges(h, now)
	bar.Parts = parts(counts, max(minBar, 100*float64(h.Len())/float64(max(most, h.Len()))))
	var words []string
	for i, n := range counts {
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, ageClasses[i].Text))
		}
	}
	bar.Text = "Ages: " + strings.Join(words, ", ")
	if h.LowerBounds > 0 {
		bar.Text += "; " + report.Count(h.LowerBounds, "connection") + " can be older"
	}
	return bar
}

// countAges counts the sockets of each class.
func countAges(h *closewait.Holding, now time.Time) []uint64 {
	ages := h.Ages(now, bounds)
	counts := make([]uint64, len(ageClasses))
	younger := uint64(0)
	for i, upTo := range append(ages.Counts, ages.Count) {
		counts[len(counts)-1-i], younger = upTo-younger, upTo
	}
	return counts
}

// parts lays the classes that occur side by side in a bar of that length.
func parts(counts []uint64, length float64) []part {
	widths := make([]float64, len(counts))
	all, sum := uint64(0), 0.0
	for _, n := range counts {
		all += n
	}
	for i, n := range counts {
		if n > 0 {
			widths[i] = max(minPart, length*float64(n)/float64(all))
			sum += widths[i]
		}
	}
	var laid []part
	x := 0.0
	for i, width := range widths {
		if width > 0 {
			laid = append(laid, part{ageClasses[i].Class, x, width * length / sum})
			x += width * length / sum
		}
	}
	return laid
}
