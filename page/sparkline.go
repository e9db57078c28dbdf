package page

import (
	"fmt"
	"strings"

	"closewait_exporter/history"
	"closewait_exporter/report"
)

// sparkline is the number of ended connections of a process over time.
type sparkline struct {
	Points string // of a polyline, in a view box of 100 by 20
	Text   string // the same for people who do not see it
}

// newSparkline returns nil if too little is remembered for a line.
func newSparkline(points []history.Point) *sparkline {
	if len(points) < history.MinPoints {
		return nil
	}
	first, last, most := points[0], points[len(points)-1], 0
	for _, p := range points {
		most = max(most, p.Sockets)
	}
	const top, bottom = 1, 19 // the line is not cut at the edges
	span := max(last.At.Sub(first.At).Seconds(), 1)
	var line strings.Builder
	for _, p := range points {
		x := 100 * p.At.Sub(first.At).Seconds() / span
		y := bottom - (bottom-top)*float64(p.Sockets)/float64(max(most, 1))
		fmt.Fprintf(&line, "%.1f,%.1f ", x, y)
	}
	return &sparkline{
		Points: strings.TrimSuffix(line.String(), " "),
		Text: fmt.Sprintf("ended connections over the last %s: %d at first, %d now, %d at most",
			report.Duration(last.At.Sub(first.At)), first.Sockets, last.Sockets, most),
	}
}
