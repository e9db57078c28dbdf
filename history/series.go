package history

import (
	"math"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// Window is the time over which growth is measured. It is the window of the alert that says when
// the descriptors of a process run out.
const Window = 15 * time.Minute

const (
	keep      = 6 * time.Hour // points older than that are forgotten
	maxPoints = 60            // of a series; then it thins out
)

// Growth is not known before there are that many points, over that time.
const (
	MinPoints = 3
	MinSpan   = 10 * time.Second
)

// point is what a View said about a process or a group.
type point struct {
	at      time.Time
	sockets int    // ended connections; of a group see groupState
	fds     uint64 // open descriptors; meaningless if limit is 0
	limit   uint64 // of descriptors; 0 if one of the two is not known
}

// series are points, oldest first.
type series []point

// add appends a point. If there are too many, it removes the one whose absence leaves the smallest
// gap relative to its age: the past is kept, with less detail.
func (s *series) add(p point) {
	points := *s
	old := 0
	for old < len(points) && p.at.Sub(points[old].at) > keep {
		old++
	}
	points = append(slices.Delete(points, 0, old), p) // in place, so that the capacity does not grow
	if len(points) > maxPoints {
		points = points.without(points.leastMissed())
	}
	*s = points
}

func (s series) leastMissed() int {
	const recent = 3 * time.Minute // within which all points are equally important
	least, smallest := 1, math.Inf(1)
	last := len(s) - 1
	for i := 1; i < last; i++ {
		gap := s[i+1].at.Sub(s[i-1].at)
		if weight := float64(gap) / float64(s[last].at.Sub(s[i].at)+recent); weight < smallest {
			least, smallest = i, weight
		}
	}
	return least
}

// without removes a point in place.
func (s series) without(i int) series { return append(s[:i], s[i+1:]...) }

// recent returns the points of the last Window.
func (s series) recent() series {
	for i := range s {
		if s[len(s)-1].at.Sub(s[i].at) <= Window {
			return s[i:]
		}
	}
	return nil
}

// growth fits a line to the points of the last Window by least squares, as the PromQL function
// deriv does. A point counts for the time between its neighbours, since the intervals differ. value
// reports false for a point without a value.
func (s series) growth(value func(point) (float64, bool)) closewait.Growth {
	var x, y, weights []float64
	points := s.recent()
	for _, p := range points {
		if v, known := value(p); known {
			x, y = append(x, p.at.Sub(points[0].at).Seconds()), append(y, v)
		}
	}
	if len(x) < MinPoints || x[len(x)-1]-x[0] < MinSpan.Seconds() {
		return closewait.Growth{}
	}
	for i := range x {
		weights = append(weights, (x[min(i+1, len(x)-1)]-x[max(i-1, 0)])/2)
	}
	g := closewait.Growth{Over: time.Duration((x[len(x)-1] - x[0]) * float64(time.Second))}
	slope, uncertainty := fit(x, y, weights)
	const clearly, negligible = 3, 1e-7 // standard errors; per second, which is one in 100 days
	if math.Abs(slope) > max(clearly*uncertainty, negligible) {
		g.PerSecond = slope
	}
	return g
}

// fit returns the slope of the line through the points, and its standard error. There are at least
// three points with different x.
func fit(x, y, weights []float64) (slope, standardError float64) {
	meanX, meanY, sum := mean(x, weights), mean(y, weights), 0.0
	var xx, xy float64
	for i, w := range weights {
		sum += w
		xx += w * (x[i] - meanX) * (x[i] - meanX)
		xy += w * (x[i] - meanX) * (y[i] - meanY)
	}
	slope = xy / xx
	residuals := 0.0
	for i, w := range weights {
		r := y[i] - meanY - slope*(x[i]-meanX)
		residuals += w * r * r
	}
	return slope, math.Sqrt(residuals / xx / float64(len(x)-2))
}

func mean(values, weights []float64) float64 {
	var total, sum float64
	for i, w := range weights {
		total += w * values[i]
		sum += w
	}
	return total / sum
}
