package reaper

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"closewait_exporter/closewait"
	"closewait_exporter/collector"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/status"
	"closewait_exporter/reaper/step"
)

// showing is a status with rules of these names.
func showing(names ...string) *current {
	c := &current{}
	for _, name := range names {
		c.Rules = append(c.Rules, status.Rule{Name: name})
	}
	return c
}

func TestEveryMetricOfTheTableIsPublishedAndNoOther(t *testing.T) {
	m := newMetrics()
	m.configure(newPolicy(rule()))
	m.show(showing("leak"))
	types := map[dto.MetricType]collector.Type{dto.MetricType_COUNTER: collector.Counter, dto.MetricType_GAUGE: collector.Gauge}
	published := map[string]collector.Metric{}
	for _, f := range gather(t, m) {
		row := collector.Metric{Name: f.GetName(), Type: types[f.GetType()], Help: f.GetHelp()}
		for _, l := range f.GetMetric()[0].GetLabel() {
			row.Labels = append(row.Labels, l.GetName())
		}
		published[row.Name] = row
	}
	tabled := map[string]collector.Metric{}
	for _, row := range MetricTable() {
		row.Labels = slices.Sorted(slices.Values(row.Labels))
		tabled[row.Name] = row
	}
	if diff := cmp.Diff(tabled, published); diff != "" {
		t.Errorf("-table +published:\n%s", diff)
	}
}

func TestEveryCounterIsBornAtZero(t *testing.T) {
	m := newMetrics()
	m.configure(newPolicy(rule(), rule(func(r *rules.Rule) { r.Name = "other" })))
	m.show(showing("leak", "other"))
	families := gather(t, m)
	for name, want := range map[string]int{
		"closewait_reaper_decisions_total":        2 * len(policy.Labels()),
		"closewait_reaper_actions_total":          2 * len(step.Kinds) * 2,
		"closewait_reaper_action_failures_total":  2 * len(step.Kinds) * 2,
		"closewait_reaper_remediations_total":     2 * len(Results),
		"closewait_reaper_released_sockets_total": 2,
		"closewait_reaper_released_fds_total":     2,
		"closewait_reaper_matched_processes":      2,
		"closewait_reaper_suspended":              len(suspensions),
		"closewait_reaper_info":                   1,
		"closewait_reaper_blocked_seconds":        2 * len(policy.Blockers()),
	} {
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == name })
		if i < 0 || len(families[i].GetMetric()) != want {
			t.Errorf("%s: not there, or not %d series: %v", name, want, families[max(i, 0)])
		}
	}
}

func TestTheCountersOfARuleOutliveIt(t *testing.T) {
	m := newMetrics()
	first := newPolicy(rule())
	m.configure(first)
	m.action(&first.Rules()[0], "signal", nil)
	m.configure(newPolicy(rule(func(r *rules.Rule) { r.Name = "other" })))
	if got, _ := sample(t, m, "closewait_reaper_actions_total", "rule=leak", "action=signal", "mode=enforce"); got != 1 {
		t.Errorf("%v actions are counted, want the one that was done", got)
	}
	if _, found := sample(t, m, "closewait_reaper_matched_processes", "rule=leak"); found {
		t.Error("a rule that is no more still matches processes")
	}
	if _, found := sample(t, m, "closewait_reaper_blocked_seconds", "rule=leak", "by=budget"); found {
		t.Error("a rule that is no more still has blocked leaks")
	}
}

func TestAGuardThatDeniesHasNotFailed(t *testing.T) {
	for err, want := range map[error]float64{nil: 0, closewait.ErrGuardDenied: 0, closewait.ErrGuardFailed: 1} {
		m, p := newMetrics(), newPolicy(rule())
		m.configure(p)
		m.action(&p.Rules()[0], "run", err)
		if got, _ := sample(t, m, "closewait_reaper_action_failures_total", "rule=leak", "action=run", "mode=enforce"); got != want {
			t.Errorf("%v counts as %v failures, want %v", err, got, want)
		}
	}
}
