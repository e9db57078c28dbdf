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
		"Mode of the reaper: enforce if some rule acts, dry_run if none does; always 1.", "mode")
	metricRounds = define("closewait_reaper_rounds_total", collector.Counter,
		"Rounds started. A round evaluates all rules once.")
	metricRoundFailures = define("closewait_reaper_round_failures_total", collector.Counter,
		"Rounds skipped because the scan failed.")
	metricLastRound = define("closewait_reaper_last_round_timestamp_seconds", collector.Gauge,
		"End of the last successful round, in seconds since the Unix epoch; 0 before the first.")
	metricMatched = define("closewait_reaper_matched_processes", collector.Gauge,
		"Processes with sockets in the states that the rule counts, that the rule matched in the last round.", "rule")
	metricCandidates = define("closewait_reaper_candidates", collector.Gauge,
		"Processes that the rule acts on, or would act on now if limits, the breaker, the brake and slots let it, by mode of the rule.", "rule", "mode")
	metricDecisions = define("closewait_reaper_decisions_total", collector.Counter,
		"Decisions of rounds and remediations. Each process that a rule matches gets one decision per round.", "rule", "decision")
	metricActions = define("closewait_reaper_actions_total", collector.Counter,
		"Steps run, per process; in mode dry_run, steps that would have been run.", "rule", "action", "mode")
	metricActionFailures = define("closewait_reaper_action_failures_total", collector.Counter,
		"Steps that failed. A guard that denies and a step that is refused have not failed, nor has an eviction that a PodDisruptionBudget does not allow.", "rule", "action", "mode")
	metricRemediations = define("closewait_reaper_remediations_total", collector.Counter,
		"Completed remediations by result. Dry run is not counted.", "rule", "result")
	metricReleasedSockets = define("closewait_reaper_released_sockets_total", collector.Counter,
		"Evidence sockets that no process held at the end of a remediation.", "rule")
	metricReleasedFDs = define("closewait_reaper_released_fds_total", collector.Counter,
		"Descriptors freed by the end of a remediation: all descriptors of a process that has ended, otherwise the decrease of its open descriptors.", "rule")
	metricBudget = define("closewait_reaper_budget_remaining", collector.Gauge,
		"Actions that limits still allow; if no rule acts, the budget of dry run.")
	metricSuspended = define("closewait_reaper_suspended", collector.Gauge,
		"Whether this reason keeps rules from acting now (1) or not (0).", "reason")
	metricBlocked = define("closewait_reaper_blocked_seconds", collector.Gauge,
		"Longest time for which a leak that is past all conditions of the rule has had no remedy, by what blocks it at present; 0 without such a leak.", "rule", "by")
	metricSupervised = define("closewait_reaper_supervised_processes", collector.Gauge,
		"Processes past all other checks of the rule, by what starts them again after each step that ends them; supervisor none: nothing that is known.", "rule", "supervisor")
	metricReloadOK = define("closewait_config_last_reload_successful", collector.Gauge,
		"Whether the rules file was valid when it was last read (1), or the previous rules are still in force (0).")
	metricReloadTime = define("closewait_config_last_reload_success_timestamp_seconds", collector.Gauge,
		"When a valid rules file was last read, in seconds since the Unix epoch.")
)

// metrics counts the decisions and actions of the reaper. It implements prometheus.Collector.
type metrics struct {
	collectors []prometheus.Collector
	isStalled  func() bool // asked at each scrape, because the loop that sets the gauges can hang

	info, matched, candidates, suspended, blocked, supervised          *prometheus.GaugeVec
	lastRound, budget, reloadOK, reloadTime                            prometheus.Gauge
	rounds, roundFailures                                              prometheus.Counter
	decisions, actions, failures, remediations, freedSockets, freedFDs *prometheus.CounterVec
}

// newMetrics returns metrics without a rule.
func newMetrics() *metrics {
	m := &metrics{isStalled: func() bool { return false }}
	m.info, m.matched, m.suspended, m.blocked = m.gauges(metricInfo), m.gauges(metricMatched), m.gauges(metricSuspended), m.gauges(metricBlocked)
	m.candidates = m.gauges(metricCandidates)
	m.supervised = m.gauges(metricSupervised)
	m.lastRound, m.budget = m.gauge(metricLastRound), m.gauge(metricBudget)
	m.reloadOK, m.reloadTime = m.gauge(metricReloadOK), m.gauge(metricReloadTime)
	m.rounds, m.roundFailures = m.counter(metricRounds), m.counter(metricRoundFailures)
	m.decisions, m.actions, m.failures = m.counters(metricDecisions), m.counters(metricActions), m.counters(metricActionFailures)
	m.remediations, m.freedSockets, m.freedFDs = m.counters(metricRemediations), m.counters(metricReleasedSockets), m.counters(metricReleasedFDs)
	for _, s := range suspensions {
		m.suspended.WithLabelValues(s.reason)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.collectors {
		c.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.suspend(suspendedStalled, m.isStalled())
	for _, c := range m.collectors {
		c.Collect(out)
	}
}

func (m *metrics) counters(row collector.Metric) *prometheus.CounterVec {
	return keep(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: row.Name, Help: row.Help}, row.Labels))
}

func (m *metrics) counter(row collector.Metric) prometheus.Counter {
	return keep(m, prometheus.NewCounter(prometheus.CounterOpts{Name: row.Name, Help: row.Help}))
}

func (m *metrics) gauges(row collector.Metric) *prometheus.GaugeVec {
	return keep(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: row.Name, Help: row.Help}, row.Labels))
}

func (m *metrics) gauge(row collector.Metric) prometheus.Gauge {
	return keep(m, prometheus.NewGauge(prometheus.GaugeOpts{Name: row.Name, Help: row.Help}))
}

func keep[C prometheus.Collector](m *metrics, c C) C {
	m.collectors = append(m.collectors, c)
	return c
}
