package reaper

import (
	"math"
	"slices"
	"time"

	"closewait_exporter/reaper/status"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// suspensionWords explain closewait_reaper_suspended to people.
var suspensionWords = map[string]string{
	LabelIncompleteScan.String(): "the last scan could not read everything",
	LabelLowCoverage.String():    "the owners of too many sockets are unknown",
	LabelGap.String():            "nobody looked for too long: the reaper, or the host, stood still",
	suspendedFailure:             "the host could not be looked at in the last round",
	suspendedBreaker:             "a breaker has tripped: a rule hit too many processes at once",
	suspendedRefused:             "a rule cannot be carried out with the rights of this program",
	suspendedClaimed:             "another reaper acts on this host",
	suspendedState:               "the state file cannot be used, so nobody knows what was done",
}

// Status tells what the Reaper does. Its numbers are those that are scraped.
func (r *Reaper) Status() status.Status {
	s := status.Status{
		BudgetLeft: int(valueOf(r.metrics.budget)),
		Reloaded:   valueOf(r.metrics.reloadOK) == 1,
	}
	if seconds := valueOf(r.metrics.lastRound); seconds > 0 {
		s.LastRound = time.UnixMilli(int64(math.Round(1000 * seconds)))
	}
	for _, reason := range suspensions {
		if valueOf(r.metrics.suspended.WithLabelValues(reason)) == 1 {
			s.Suspended = append(s.Suspended, suspensionWords[reason])
		}
	}
	r.diary.tell(&s)
	return s
}

// tell fills in what the diary has.
func (d *diary) tell(s *status.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Enforcing, s.Budget, s.Per, s.Rules = d.mode == Enforce, d.limits.Actions, d.limits.Per, slices.Clone(d.rules)
	s.Omitted, s.Actions = d.omitted, slices.Clone(d.deeds)
	for i := range d.decisions {
		s.Decisions = append(s.Decisions, d.decisions[i].Entry)
	}
	slices.SortStableFunc(s.Decisions, func(a, b status.Entry) int { return b.Since.Compare(a.Since) })
}

// valueOf reads a gauge of our own, which cannot fail.
func valueOf(g prometheus.Gauge) float64 {
	var sample dto.Metric
	if err := g.Write(&sample); err != nil {
		return math.NaN()
	}
	return sample.GetGauge().GetValue()
}
