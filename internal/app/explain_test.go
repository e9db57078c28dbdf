package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
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

// unitHost is a host with one process in the service web.service. Whatever acts on it panics.
type unitHost struct {
	step.Executor
	step.ProcessHandle
	dependents []string
	open       int // handles
}

func (h *unitHost) Open(closewait.ProcessID) (step.ProcessHandle, error) { h.open++; return h, nil }

func (h *unitHost) Close() { h.open-- }

func (h *unitHost) Describe() (closewait.Process, error) {
	return closewait.Process{Unit: "web.service"}, nil
}

func (h *unitHost) Unit(context.Context) (closewait.Unit, error) {
	return closewait.Unit{Name: "web.service", Names: []string{"web.service"}, Dependents: h.dependents}, nil
}

func TestExplainSaysWhetherAUnitWouldBeRestarted(t *testing.T) {
	config := &rules.Config{Rules: []rules.Rule{{Name: "leak", Steps: []step.Step{step.Evidence{}, step.RestartUnit{Timeout: time.Minute}}}}}
	process := &closewait.Process{Unit: "web.service"}
	for name, c := range map[string]struct {
		host  unitHost
		holds bool
		text  string
	}{
		"it would":              {unitHost{}, true, "a restart of web.service"},
		"it takes others along": {unitHost{dependents: []string{"shop.service"}}, false, "also restart shop.service"},
	} {
		t.Run(name, func(t *testing.T) {
			all := []policy.Explanation{{Rule: "leak", Process: process, Steps: []string{"evidence", "restart_unit"}}, {Rule: "leak", Process: process}}
			askSteps(t.Context(), step.DryRunExecutor{Executor: &c.host}, policy.New(config, policy.Options{}), config, all)
			if len(all[0].Checks) != 1 || len(all[1].Checks) != 0 || c.host.open != 0 {
				t.Fatalf("%+v, %d handles are open", all, c.host.open)
			}
			if got := all[0].Checks[0]; got.Name != "restart_unit" || got.Holds != c.holds || !strings.Contains(got.Text, c.text) {
				t.Errorf("%+v, want %t: %s", got, c.holds, c.text)
			}
		})
	}
}
