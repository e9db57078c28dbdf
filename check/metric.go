package check

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// metric is the value of the process that has the largest.
type metric struct {
	label, unit       string
	phrase            string // for people, with the value in place of %s
	maximum           string
	value             float64           // as it is printed, so that it is plain why it violates a range
	unknown           bool              // processes have one, but none could be read
	of                *closewait.Holder // nil: there is no process
	warning, critical Range
}

type metrics struct{ age, sockets, fds, timeLeft metric }

// all leaves out the time that is left if no threshold is about it: one scan cannot know it.
func (m *metrics) all() []metric {
	all := []metric{m.age, m.sockets, m.fds}
	if m.timeLeft.used() {
		all = append(all, m.timeLeft)
	}
	return all
}

// measure finds the worst values.
func measure(r *report.Report, warning, critical Thresholds) *metrics {
	m := &metrics{
		age:     metric{label: "age", unit: "s", phrase: "oldest socket %s", warning: warning.Age, critical: critical.Age},
		sockets: metric{label: "sockets", phrase: "%s sockets", warning: warning.Sockets, critical: critical.Sockets},
		timeLeft: metric{
			label: "time_left", unit: "s", phrase: "descriptors run out in %s", unknown: true, warning: warning.TimeLeft, critical: critical.TimeLeft,
		},
		fds: metric{label: "fds", unit: "%", phrase: "%s of the descriptors in use", maximum: "100", warning: warning.FDs, critical: critical.FDs},
	}
	for _, h := range r.Listed {
		m.age.raise(h, math.Floor(h.Oldest(r.View.Taken).Seconds()))
		m.sockets.raise(h, float64(ended(h)))
		if used, known := usedFDs(h); known {
			m.fds.raise(h, used)
		}
		if trend := r.Row(h).Trend; trend.RunsOut {
			m.timeLeft.lower(h, math.Floor(trend.Left.Seconds()))
		}
	}
	m.fds.unknown = m.fds.of == nil && len(r.Listed) > 0
	return m
}

// raise keeps the larger value.
func (m *metric) raise(h *closewait.Holder, value float64) {
	if m.of == nil || value > m.value {
		m.of, m.value = h, value
	}
}

// lower keeps the smaller value.
func (m *metric) lower(h *closewait.Holder, value float64) {
	if m.of == nil || value < m.value {
		m.of, m.value, m.unknown = h, value, false
	}
}

// check returns the state, and for people what is not OK.
func (m *metric) check() (state State, violation string) {
	violated := m.critical
	switch {
	case m.unknown:
		return OK, ""
	case m.critical.alerts(m.value):
		state = Critical
	case m.warning.alerts(m.value):
		state, violated = Warning, m.warning
	default:
		return OK, ""
	}
	who := "no process"
	if m.of != nil {
		who = name(m.of)
	}
	return state, fmt.Sprintf(m.phrase, m.number()) + ", " + violated.violation(m.value, m.unit) + ": " + who
}

// number is the value with its unit.
func (m *metric) number() string { return strconv.FormatFloat(m.value, 'f', -1, 64) + m.unit }

// used reports whether any value of the metric can be a violation.
func (m *metric) used() bool { return !m.warning.never() || !m.critical.never() }

// performance is the metric as performance data:
//
//	label=value[unit];warning;critical;minimum;maximum
//
// A value that is not known is U.
func (m *metric) performance() string {
	value := "U"
	if !m.unknown {
		value = m.number()
	}
	text := m.label + "=" + value
	for _, limit := range []Range{m.warning, m.critical} {
		text += ";"
		if !limit.never() {
			text += limit.String()
		}
	}
	return strings.TrimSuffix(text+";0;"+m.maximum, ";")
}

// ended is the number of the ended sockets of a process, accepted or not.
func ended(h *closewait.Holder) int { return h.Ended.Len() + h.Unaccepted.Len() }

// usedFDs is how much of its soft limit of descriptors a process uses: percent with one decimal.
func usedFDs(h *closewait.Holder) (used float64, known bool) {
	const thousand, ten = 1000, 10
	ratio, known := h.FDRatio()
	return math.Floor(ratio*thousand) / ten, known
}
