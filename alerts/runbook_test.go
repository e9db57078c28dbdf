package alerts

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// runbookURL is the placeholder for the address of the runbook, which users replace.
const runbookURL = "https://closewait.example/docs/RUNBOOK.md#"

var heading = regexp.MustCompile(`(?m)^## (Closewait\w+)$`)

func TestEveryAlertHasItsSectionInTheRunbookAndEverySectionItsAlert(t *testing.T) {
	unexplained := map[string]bool{} // one section for rules that differ in severity
	for _, alert := range shippedAlerts(t) {
		unexplained[alert.Alert] = true
		if want := runbookURL + strings.ToLower(alert.Alert); alert.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, want %q", alert.Alert, alert.Annotations["runbook_url"], want)
		}
	}
	for _, section := range heading.FindAllStringSubmatch(string(read(t, runbookPath)), -1) {
		if !unexplained[section[1]] {
			t.Errorf("%s has a section %s, which is not an alert, or has it twice", runbookPath, section[1])
		}
		delete(unexplained, section[1])
	}
	if missing := slices.Sorted(maps.Keys(unexplained)); len(missing) > 0 {
		t.Errorf("%s has no section about %v", runbookPath, missing)
	}
}

var queries = regexp.MustCompile("(?s)```promql\n(.*?)```")

func TestTheQueriesOfTheRunbookAreValid(t *testing.T) {
	rules, count := "groups:\n- name: runbook\n  rules:\n", 0
	for _, block := range queries.FindAllStringSubmatch(string(read(t, runbookPath)), -1) {
		for query := range strings.Lines(block[1]) {
			rules += fmt.Sprintf("  - record: query_%d\n    expr: |\n      %s", count, query)
			count++
		}
	}
	if count == 0 {
		t.Fatalf("%s has no queries", runbookPath)
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

func TestTheRunbookNamesOnlyExistingMetrics(t *testing.T) {
	known := series(t)
	for _, n := range regexp.MustCompile(`\bclosewait[_:][a-z_:]+[a-z]`).FindAllString(string(read(t, runbookPath)), -1) {
		if known[n] == nil && n != "closewait_exporter" {
			t.Errorf("%s: there is no %s", runbookPath, n)
		}
	}
}

func TestEveryAlertHasASeverityAndNamesItsPlaceAndValues(t *testing.T) {
	severities := []string{"critical", "warning", "info"}
	for _, alert := range shippedAlerts(t) {
		summary, description := alert.Annotations["summary"], alert.Annotations["description"]
		if !slices.Contains(severities, alert.Labels["severity"]) {
			t.Errorf("%s: severity is %q, want one of %v", alert.Alert, alert.Labels["severity"], severities)
		}
		places := []string{"$labels.instance"}
		ofGroup := strings.Contains(alert.Expr, "closewait:group_")
		if ofGroup || strings.Contains(alert.Expr, "closewait_process_") {
			places = append(places, "$labels.group", "$value")
			if alert.KeepFiring == "" {
				t.Errorf("%s ends whenever a single scan fails: it needs keep_firing_for", alert.Alert)
			}
			if !ofGroup {
				places = append(places, "$labels.pid", "$labels.comm")
			}
		}
		for _, place := range places {
			if !strings.Contains(description, place) {
				t.Errorf("%s: the description does not say %s", alert.Alert, place)
			}
		}
		if !strings.Contains(summary, "$labels.instance") {
			t.Errorf("%s: the summary does not name the host", alert.Alert)
		}
	}
}
