package alerts

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func promtool(t *testing.T, args ...string) string {
	t.Helper()
	return mustRun(t, tool(t, "promtool", "prometheus"), args...)
}

func TestPrometheusTakesTheRules(t *testing.T) {
	promtool(t, "check", "rules", rulesPath)
}

func TestPrometheusTakesItsExampleConfiguration(t *testing.T) {
	promtool(t, "check", "config", "prometheus.example.yml")
}

func TestTheUnitTestsOfTheRulesPass(t *testing.T) {
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

// spansOfTime are all that is different in rules that are 60 times as fast.
var spansOfTime = regexp.MustCompile(`\b[0-9]+[smhdwy]\b|\b3600\b|le=~"[0-9]+`)

func TestTheScaledRulesAreTheSameButForSpansOfTime(t *testing.T) {
	scaled := mustRun(t, tool(t, "sed", "sed"), "-E", "-f", "scale-60.sed", rulesPath)
	want := spansOfTime.ReplaceAllStringFunc(string(read(t, rulesPath)), func(span string) string {
		last := len(span) - 1
		switch {
		case span == "3600":
			return "60"
		case span == `le=~"300`:
			return `le=~"5`
		case span[last] == 'h':
			return span[:last] + "m"
		case span[last] == 'm':
			return span[:last] + "s"
		}
		t.Errorf("%s: write spans of time in m, in h or as a multiple of 3600", span)
		return span
	})
	if diff := cmp.Diff(want, scaled); diff != "" {
		t.Errorf("scale-60.sed (-want +got):\n%s", diff)
	}
	file := filepath.Join(t.TempDir(), rulesPath)
	if err := os.WriteFile(file, []byte(scaled), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

func TestNoOtherNumberOfTheRulesIsASpanOfTime(t *testing.T) {
	counts := []string{"0", "1", "2", "4", "5", "6", "128", "0.1", "0.2", "0.5", "0.95", "0.98"}
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
