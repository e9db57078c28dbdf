package app

import (
	"testing"
	"time"

	"closewait_exporter/history"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

// TestExplainScansOftenEnoughForATrend: without a rule with time_left two scans are enough.
func TestExplainScansOftenEnoughForATrend(t *testing.T) {
	for interval, further := range map[time.Duration]int{time.Second: 11, 5 * time.Second: 3, 10 * time.Second: 2, time.Minute: 2} {
		config := &rules.Config{Interval: interval, Rules: []rules.Rule{{Name: "leak"}}}
		if got := furtherScans(policy.New(config, policy.Options{})); got != 1 {
			t.Errorf("%d further scans, want 1", got)
		}
		config.Rules = append(config.Rules, rules.Rule{Name: "soon", When: condition.When{TimeLeft: time.Hour}})
		got := furtherScans(policy.New(config, policy.Options{}))
		if got != further || got+1 < history.MinPoints || time.Duration(got)*interval < history.MinSpan {
			t.Errorf("%d further scans every %s, want %d", got, interval, further)
		}
	}
}
