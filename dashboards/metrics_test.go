package dashboards

import (
	"slices"
	"strings"
	"testing"

	"closewait_exporter/collector"
)

// awaited are the metrics of the contract that no package publishes yet. Queries that name one must be
// right but need not give data. When a package does publish them, add its table to published and take
// them out here: a test insists on it.
var awaited = []collector.Metric{
	{Name: "closewait_process_defunct_sockets", Type: collector.Gauge, Labels: []string{"group", "pid", "comm"}},
	{Name: "closewait_reaper_info", Type: collector.Gauge, Labels: []string{"mode"}},
	{Name: "closewait_reaper_rounds_total", Type: collector.Counter},
	{Name: "closewait_reaper_round_failures_total", Type: collector.Counter},
	{Name: "closewait_reaper_last_round_timestamp_seconds", Type: collector.Gauge},
	{Name: "closewait_reaper_matched_processes", Type: collector.Gauge, Labels: []string{"rule"}},
	{Name: "closewait_reaper_decisions_total", Type: collector.Counter, Labels: []string{"rule", "decision"}},
	{Name: "closewait_reaper_actions_total", Type: collector.Counter, Labels: []string{"rule", "action", "mode"}},
	{Name: "closewait_reaper_action_failures_total", Type: collector.Counter, Labels: []string{"rule", "action", "mode"}},
	{Name: "closewait_reaper_reaped_total", Type: collector.Counter, Labels: []string{"rule", "result"}},
	{Name: "closewait_reaper_released_sockets_total", Type: collector.Counter, Labels: []string{"rule"}},
	{Name: "closewait_reaper_released_fds_total", Type: collector.Counter, Labels: []string{"rule"}},
	{Name: "closewait_reaper_budget_remaining", Type: collector.Gauge},
	{Name: "closewait_reaper_suspended", Type: collector.Gauge, Labels: []string{"reason"}},
	{Name: "closewait_config_last_reload_successful", Type: collector.Gauge},
	{Name: "closewait_config_last_reload_success_timestamp_seconds", Type: collector.Gauge},
}

// foreign are metrics of Prometheus and of its Go client.
var foreign = []collector.Metric{
	{Name: "up", Type: collector.Gauge},
	{Name: "process_cpu_seconds_total", Type: collector.Counter},
	{Name: "process_resident_memory_bytes", Type: collector.Gauge},
}

// published are the metrics that our packages have today.
func published() []collector.Metric { return collector.Metrics() }

func named(name string) func(collector.Metric) bool {
	return func(m collector.Metric) bool { return m.Name == name }
}

// series returns the labels of each series that metrics make, those of the target included.
func series(metrics ...[]collector.Metric) map[string][]string {
	labels := map[string][]string{}
	for _, m := range slices.Concat(metrics...) {
		own := append([]string{"job", "instance"}, m.Labels...)
		switch m.Type {
		case collector.Histogram, collector.GaugeHistogram:
			labels[m.Name+"_count"], labels[m.Name+"_sum"] = own, own
			labels[m.Name+"_bucket"] = append([]string{"le"}, own...)
		default:
			labels[m.Name] = own
		}
	}
	return labels
}

func TestQueriesNameOnlyWhatExists(t *testing.T) {
	known := series(published(), awaited, foreign)
	for _, q := range queries(t, load(t)) {
		found := parse(q.expr)
		var anywhere []string
		for _, use := range found.metrics {
			labels, exists := known[use.name]
			if !exists {
				t.Errorf("%s: there is no metric %s", q.where, use.name)
			}
			anywhere = append(anywhere, labels...)
			for _, label := range use.labels {
				if !slices.Contains(labels, label) {
					t.Errorf("%s: %s has no label %s, only %q", q.where, use.name, label, labels)
				}
			}
		}
		for _, label := range append(found.labels, q.labels...) {
			if !slices.Contains(anywhere, label) {
				t.Errorf("%s: none of its metrics has a label %s", q.where, label)
			}
		}
	}
}

func TestEveryMetricIsShown(t *testing.T) {
	var shown strings.Builder
	for _, q := range queries(t, load(t)) {
		for _, use := range parse(q.expr).metrics {
			shown.WriteString(use.name + "\n")
		}
	}
	for _, m := range append(published(), awaited...) {
		if !strings.Contains(shown.String(), m.Name) {
			t.Errorf("%s is in no panel", m.Name)
		}
	}
}

func TestWhatIsPublishedIsNotAwaited(t *testing.T) {
	for _, m := range awaited {
		if slices.ContainsFunc(published(), named(m.Name)) {
			t.Errorf("%s exists: take it out of awaited, so that its panels have to give data", m.Name)
		}
	}
}
