package reaper

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"closewait_exporter/collector"
)

// MetricTable returns the rows of the reaper in the table of all metrics: see collector.Metrics.
func MetricTable() []collector.Metric { return slices.Clone(table) }

var table []collector.Metric // filled by define, in the order of the definitions below

func define(name string, typ collector.Type, help string, labels ...string) collector.Metric {
	m := collector.Metric{Name: name, Type: typ, Labels: labels, Help: help}
	table = append(table, m)
	return m
}

var (
	metricInfo = define("closewait_reaper_info", collector.Gauge,
		"Whether some rule acts (enforce) or all only say what they would do (dry_run); always 1.", "mode")
	metricRounds = define("closewait_reaper_rounds_total", collector.Counter,
		"Rounds begun: evaluations of all rules.")
	metricRoundFailures = define("closewait_reaper_round_failures_total", collector.Counter,
		"Rounds in which the host could not be looked at.")
	metricLastRound = define("closewait_reaper_last_round_timestamp_seconds", collector.Gauge,
		"End of the last round that did not fail, seconds since the Unix epoch; 0 before the first.")
	metricMatched = define("closewait_reaper_matched_processes", collector.Gauge,
		"Processes with sockets in CLOSE_WAIT, or defunct ones that count, that the rule matched in the last round.", "rule")
	metricDecisions = define("closewait_reaper_decisions_total", collector.Counter,
		"Decisions of rounds and of ladders: each process that a rule matches gets one in each round.", "rule", "decision")
	metricActions = define("closewait_reaper_actions_total", collector.Counter,
		"Steps tried, each process counted; in dry_run none was.", "rule", "action", "mode")
	metricActionFailures = define("closewait_reaper_action_failures_total", collector.Counter,
		"Steps that could not be done. A guard that denies is none.", "rule", "action", "mode")
	metricReaped = define("closewait_reaper_reaped_total", collector.Counter,
		"Ladders that have ended, other than in dry run, by what came of them.", "rule", "result")
	metricReleasedSockets = define("closewait_reaper_released_sockets_total", collector.Counter,
		"Evidence sockets that nobody held any more at the end of a ladder.", "rule")
	metricReleasedFDs = define("closewait_reaper_released_fds_total", collector.Counter,
		"Descriptors that had come free at the end of a ladder: all of a process that has ended, else those of the released sockets.", "rule")
	metricBudget = define("closewait_reaper_budget_remaining", collector.Gauge,
		"Actions that limits still allow now; those of dry run where no rule acts.")
	metricSuspended = define("closewait_reaper_suspended", collector.Gauge,
		"Whether something keeps rules from acting (1), by reason.", "reason")
	metricReloadOK = define("closewait_config_last_reload_successful", collector.Gauge,
		"Whether the rules file was valid when it was last read (1), or the rules before it are still in force (0).")
	metricReloadTime = define("closewait_config_last_reload_success_timestamp_seconds", collector.Gauge,
		"When a valid rules file was last read, seconds since the Unix epoch.")
)

// Metrics counts what the reaper decides and does. It implements prometheus.Collector.
type Metrics struct {
	collectors []prometheus.Collector

	info, matched, suspended                                     *prometheus.GaugeVec
	lastRound, budget, reloadOK, reloadTime                      prometheus.Gauge
	rounds, roundFailures                                        prometheus.Counter
	decisions, actions, failures, reaped, freedSockets, freedFDs *prometheus.CounterVec
}

// NewMetrics returns Metrics without a rule.
func NewMetrics() *Metrics {
	m := &Metrics{}
	m.info, m.matched, m.suspended = m.gauges(metricInfo), m.gauges(metricMatched), m.gauges(metricSuspended)
	m.lastRound, m.budget = m.gauge(metricLastRound), m.gauge(metricBudget)
	m.reloadOK, m.reloadTime = m.gauge(metricReloadOK), m.gauge(metricReloadTime)
	m.rounds, m.roundFailures = m.counter(metricRounds), m.counter(metricRoundFailures)
	m.decisions, m.actions, m.failures = m.counters(metricDecisions), m.counters(metricActions), m.counters(metricActionFailures)
	m.reaped, m.freedSockets, m.freedFDs = m.counters(metricReaped), m.counters(metricReleasedSockets), m.counters(metricReleasedFDs)
	for _, reason := range suspensions {
		m.suspended.WithLabelValues(reason)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.collectors {
		c.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.collectors {
		c.Collect(out)
	}
}

func (m *Metrics) counters(row collector.Metric) *prometheus.CounterVec {
	return keep(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: row.Name, Help: row.Help}, row.Labels))
}

func (m *Metrics) counter(row collector.Metric) prometheus.Counter {
	return keep(m, prometheus.NewCounter(prometheus.CounterOpts{Name: row.Name, Help: row.Help}))
}

func (m *Metrics) gauges(row collector.Metric) *prometheus.GaugeVec {
	return keep(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: row.Name, Help: row.Help}, row.Labels))
}

func (m *Metrics) gauge(row collector.Metric) prometheus.Gauge {
	return keep(m, prometheus.NewGauge(prometheus.GaugeOpts{Name: row.Name, Help: row.Help}))
}

func keep[C prometheus.Collector](m *Metrics, c C) C {
	m.collectors = append(m.collectors, c)
	return c
}
