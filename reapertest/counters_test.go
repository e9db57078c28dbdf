package reapertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/collector"
	"closewait_exporter/reaper"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/step"
)

// labelValues returns the values that each label of a counter has from the start.
func labelValues() map[string][]string {
	values := map[string][]string{"rule": {"quiet"}, "mode": {"dry_run", "enforce"}}
	for _, l := range policy.Labels() {
		values["decision"] = append(values["decision"], string(l))
	}
	for _, r := range reaper.Results {
		values["result"] = append(values["result"], string(r))
	}
	values["action"] = step.Names()
	return values
}

// initialSeries returns the series of a metric with all values of its labels.
func initialSeries(m collector.Metric) []string {
	names, values := slices.Sorted(slices.Values(m.Labels)), labelValues()
	series := []string{""}
	for _, name := range names {
		var longer []string
		for _, s := range series {
			for _, v := range values[name] {
				longer = append(longer, strings.TrimPrefix(s+","+fmt.Sprintf("%s=%q", name, v), ","))
			}
		}
		series = longer
	}
	for i, s := range series {
		if series[i] = m.Name; s != "" {
			series[i] = m.Name + "{" + s + "}"
		}
	}
	return series
}

func TestEveryCounterStartsAtZero(t *testing.T) {
	e := newFiles(t, preamble+rule("quiet", "/nonexistent/program", outbound+soft)).start(t)
	e.awaitRounds(1)
	values := e.scrape()
	for _, m := range reaper.MetricTable() {
		if m.Type != collector.Counter {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(values)), func(s string) bool { return s == m.Name || strings.HasPrefix(s, m.Name+"{") }) {
				t.Errorf("%s is missing", m.Name)
			}
			continue
		}
		series := initialSeries(m)
		if len(series) == 0 {
			t.Errorf("%s: unknown labels %v", m.Name, m.Labels)
		}
		for _, s := range series {
			value, exists := values[s]
			if !exists || value != 0 && m.Name != "closewait_reaper_rounds_total" {
				t.Errorf("%s is %v (exists: %v), want 0", s, value, exists)
			}
		}
	}
	if values[`closewait_reaper_info{mode="dry_run"}`] != 1 {
		t.Error("closewait_reaper_info does not say dry_run")
	}
}
