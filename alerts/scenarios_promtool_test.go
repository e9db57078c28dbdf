package alerts

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the unit tests of the scenarios")

const scenariosPath = "closewait.scenarios.test.yml"

// TestTheScenariosAreTheUnitTests compares the file that promtool tests with the simulation. All
// scenarios are one test, on two instances: with and without the labels of a process.
func TestTheScenariosAreTheUnitTests(t *testing.T) {
	series, queries := map[string][]float64{}, ""
	for _, sc := range scenarios {
		s := sc.simulate()
		maps.Copy(series, s.series(sc.name, true))
		maps.Copy(series, s.series(sc.name, false))
		queries += sc.queries(s.minute)
	}
	want := "# Generated from scenario_test.go: go test ./alerts -run Scenarios -update\n" +
		"rule_files: [" + rulesPath + "]\nevaluation_interval: 1m\n\ntests:\n" +
		"  - name: each leak is one alert for as long as it lasts\n    interval: 1m\n    input_series:\n"
	for _, name := range slices.Sorted(maps.Keys(series)) {
		want += "      - {series: '" + name + "', values: " + notation(series[name]) + "}\n"
	}
	want += "    promql_expr_test:\n" + queries
	if *update {
		if err := os.WriteFile(scenariosPath, []byte(want), 0o644); err != nil { //nolint:gosec // as all other files
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, string(read(t, scenariosPath))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", scenariosPath, diff)
	}
}

// queries writes what promtool asks at the end of a scenario: how often each alert began to fire,
// and which fire.
func (sc *scenario) queries(minutes int) string {
	firing := `ALERTS{group="` + sc.name + `",alertstate="firing"}`
	began := fmt.Sprintf("sum by (instance, alertname, severity) (count_over_time((%s unless %s offset 1m)[%dm:1m]))", firing, firing, minutes)
	last := map[string]int{}
	for _, alert := range sc.atEnd {
		last[alert] = 1
	}
	return expect(began, minutes-1, sc.firings) + expect("count by (instance, alertname, severity) ("+firing+")", minutes-1, last)
}

// expect writes the expected values of an expression by alert and severity, on both instances.
func expect(expr string, minute int, want map[string]int) string {
	text := fmt.Sprintf("      - expr: %s\n        eval_time: %dm\n        exp_samples:", expr, minute)
	if len(want) == 0 {
		return text + " []\n"
	}
	text += "\n"
	for _, key := range slices.Sorted(maps.Keys(want)) {
		for _, instance := range slices.Sorted(maps.Values(instances)) {
			alert, severity, _ := strings.Cut(key, " ")
			text += fmt.Sprintf("          - {labels: '{instance=%q,alertname=%q,severity=%q}', value: %d}\n", instance, alert, severity, want[key])
		}
	}
	return text
}

// instances are the exporters of the scenarios, by whether they export pids.
var instances = map[bool]string{true: "pids:10052", false: "groups:10052"}

// absent is the value of a series at a minute without a sample.
const absent = -1

// series returns the values of each series of a group by minute.
func (s *stage) series(group string, pidLabel bool) map[string][]float64 {
	all := map[string][]float64{}
	set := func(name string, minute int, value float64, sum func(a, b float64) float64) {
		if all[name] == nil {
			all[name] = slices.Repeat([]float64{absent}, s.minute)
		}
		if before := all[name][minute]; before != absent {
			value = sum(before, value)
		}
		all[name][minute] = value
	}
	for minute, moments := range s.history {
		for pid, m := range moments {
			of := fmt.Sprintf("job=%q,instance=%q,group=%q", "closewait", instances[pidLabel], group)
			if pidLabel {
				of += fmt.Sprintf(",pid=%q,comm=%q", strconv.Itoa(pid), "shop")
			}
			for name, value := range m {
				metric, own, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
				labels := of
				if own != "" {
					labels += "," + own
				}
				set(metric+"{"+labels+"}", minute, value, combine(metric))
			}
		}
	}
	return all
}

// combine returns how the exporter combines the values of a group.
func combine(metric string) func(a, b float64) float64 {
	switch metric {
	case "closewait_process_start_time_seconds":
		return func(a, b float64) float64 { return min(a, b) }
	case "closewait_process_oldest_socket_age_seconds":
		return func(a, b float64) float64 { return max(a, b) }
	}
	return func(a, b float64) float64 { return a + b }
}

// notation writes values as promtool expands them: start+stepxtimes.
func notation(values []float64) string {
	var parts []string
	for i := 0; i < len(values); {
		first, step, n := values[i], 0.0, 0
		if i+1 < len(values) && first != absent && values[i+1] != absent {
			step = values[i+1] - first
		}
		for i+n+1 < len(values) && values[i+n+1]-values[i+n] == step && (values[i+n+1] == absent) == (first == absent) {
			n++
		}
		switch number := strconv.FormatFloat(first, 'f', -1, 64); {
		case first == absent && i > 0: // the series ends
			parts = append(parts, "stale")
			if n > 0 {
				parts = append(parts, "_x"+strconv.Itoa(n))
			}
		case first == absent:
			parts = append(parts, "_x"+strconv.Itoa(n+1))
		case n == 0:
			parts = append(parts, number)
		default:
			parts = append(parts, fmt.Sprintf("%s%+gx%d", number, step, n))
		}
		i += n + 1
	}
	return strings.Join(parts, " ")
}
