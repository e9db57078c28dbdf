package reaper

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Status is what a Reaper does at present, for people.
type Status struct {
	Mode       string // enforce when some rule acts, else dry_run
	Rules      []RuleStatus
	Suspended  []string // why rules are kept from acting, in words
	BudgetLeft int      // actions that Limits still allow
	Limits     Limits
	LastRound  time.Time // that did not fail; zero before the first
	Reloaded   bool      // the rules file was valid when it was last read
	Decisions  []Note    // at most notesKept, the youngest first
	Omitted    int       // decisions of the last round that are not among them
	Deeds      []Note    // at most notesKept, the youngest first
}

// RuleStatus is a rule that is in force.
type RuleStatus struct {
	Name    string
	Mode    string
	Matched int // processes in the last round that counted
}

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
func (r *Reaper) Status() Status {
	s := Status{
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
func (d *diary) tell(s *Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Mode, s.Limits, s.Rules = d.mode.String(), d.limits, slices.Clone(d.rules)
	s.Omitted, s.Deeds = d.omitted, slices.Clone(d.deeds)
	for i := range d.decisions {
		s.Decisions = append(s.Decisions, d.decisions[i].Note)
	}
	slices.SortStableFunc(s.Decisions, func(a, b Note) int { return b.Since.Compare(a.Since) })
}

// valueOf reads a gauge of our own, which cannot fail.
func valueOf(g prometheus.Gauge) float64 {
	var sample dto.Metric
	if err := g.Write(&sample); err != nil {
		return math.NaN()
	}
	return sample.GetGauge().GetValue()
}
