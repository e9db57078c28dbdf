package report

import (
	"fmt"
	"math"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
)

// trendOf is where a process is heading; nothing is known without a History.
func trendOf(past Trends, h *closewait.Holder) history.Trend {
	if past == nil {
		return history.Trend{}
	}
	return past.Process(h.ID)
}

// rate formats a growth in the unit in which it is at least 1: +2.5/s, -3.0/min, +12/h. A dash
// means not known yet, 0 that there is no clear trend.
func rate(g closewait.Growth) string {
	const one = 0.995 // rounds to 1.0
	switch perSecond := math.Abs(g.PerSecond); {
	case g.Over == 0:
		return "-"
	case g.PerSecond == 0:
		return "0"
	case perSecond >= one:
		return signed(g.PerSecond, "s")
	case perSecond*time.Minute.Seconds() >= one:
		return signed(g.PerSecond*time.Minute.Seconds(), "min")
	}
	return signed(g.PerSecond*time.Hour.Seconds(), "h")
}

func signed(value float64, unit string) string {
	const twoDigits = 9.95 // rounds to 10
	if math.Abs(value) >= twoDigits {
		return fmt.Sprintf("%+.0f/%s", value, unit)
	}
	return fmt.Sprintf("%+.1f/%s", value, unit)
}

// left formats the time after which the descriptors of a process have run out, a dash if they do
// not, or not within a month.
func left(t *history.Trend) string {
	const month = 30 * day
	switch {
	case !t.RunsOut || t.Left > month:
		return "-"
	case t.Left == 0:
		return "0s"
	}
	return Duration(t.Left)
}

// trendLines say over which time trends are measured, and which groups leak again and again.
func trendLines(past Trends, holders []*closewait.Holder) []string {
	if past == nil || len(holders) == 0 {
		return nil
	}
	over := time.Duration(0)
	var again []string
	said := map[string]bool{}
	for _, h := range holders {
		over = max(over, past.Process(h.ID).Sockets.Over)
		if line := LeaksAgain(past, h); line != "" && !said[line] {
			said[line] = true
			again = append(again, line)
		}
	}
	lines := []string{"RATE and LEFT are known after some scans."}
	if over > 0 {
		lines = []string{"RATE and LEFT: growth of SOCKETS, and time until the descriptors run out, by the trend of the last " + Duration(over) + "."}
	}
	return append(lines, again...)
}

// LeaksAgain says that the group of a process has leaked before a restart too. It is empty if it
// has not, as far as the History knows.
func LeaksAgain(past Trends, h *closewait.Holder) string {
	if past == nil {
		return ""
	}
	group := past.Group(&h.Process)
	if group.Restarts == 0 {
		return ""
	}
	return fmt.Sprintf("%s leaks again after %s since %s UTC: %s over all its processes.",
		Text(h.Group()), Count(group.Restarts, "restart"), group.Since.UTC().Format(time.DateTime), rate(group.Sockets))
}
