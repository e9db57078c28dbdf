package alerts

import (
	"regexp"
	"slices"
	"testing"
)

func promtool(t *testing.T, args ...string) string {
	t.Helper()
	return mustRun(t, tool(t, "promtool", "prometheus"), args...)
}

func TestPrometheusAcceptsTheRules(t *testing.T) {
	promtool(t, "check", "rules", rulesPath)
}

func TestPrometheusAcceptsItsExampleConfiguration(t *testing.T) {
	promtool(t, "check", "config", prometheusPath)
}

func TestTheUnitTestsOfTheRulesPass(t *testing.T) {
	t.Parallel()
	promtool(t, append([]string{"test", "rules"}, unitTests(t)...)...)
}

func TestEveryAlertHasAUnitTestInWhichItFiresAndOneInWhichItDoesNot(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, path := range unitTests(t) {
		var file struct {
			RuleFiles []string `yaml:"rule_files"`
			Interval  string   `yaml:"evaluation_interval"`
			Tests     []struct {
				Name     string `yaml:"name"`
				Interval string `yaml:"interval"`
				Series   []any  `yaml:"input_series"`
				Queries  []any  `yaml:"promql_expr_test"`
				Alerts   []struct {
					Name     string `yaml:"alertname"`
					At       string `yaml:"eval_time"`
					Expected []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		unmarshal(t, path, &file)
		for _, test := range file.Tests {
			for _, expected := range test.Alerts {
				verdict := silent
				if len(expected.Expected) > 0 {
					verdict = fires
				}
				verdict[expected.Name] = true
			}
		}
	}
	for _, alert := range shippedAlerts(t) {
		if !fires[alert.Alert] || !silent[alert.Alert] {
			t.Errorf("%s: tested when it fires: %v, when it does not: %v", alert.Alert, fires[alert.Alert], silent[alert.Alert])
		}
	}
}

func TestNoOtherNumberOfTheRulesIsASpanOfTime(t *testing.T) {
	counts := []string{"0", "1", "2", "4", "5", "6", "128", "0.1", "0.2", "0.5", "0.8", "0.9", "0.95", "0.98"}
	numbers := regexp.MustCompile(`\b[0-9]+([.][0-9]+)?\b`)
	for _, r := range shippedRules(t) {
		expr := spansOfTime.ReplaceAllString(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(r.Expr, ""), "")
		for _, number := range numbers.FindAllString(expr, -1) {
			if !slices.Contains(counts, number) {
				t.Errorf("%s has the number %s: if it counts seconds, make it a multiple of 3600, else add it here", r.Alert+r.Record, number)
			}
		}
	}
}
