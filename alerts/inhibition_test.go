package alerts

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// labelsFor returns the labels of an alert about an exporter or, with a pid, about a process.
func labelsFor(instance, alert, severity, pid string) map[string]string {
	l := map[string]string{"job": "closewait", "instance": instance, "alertname": alert, "severity": severity}
	if pid != "" {
		l["group"], l["pid"], l["comm"] = "shop.service", pid, "shop"
	}
	return l
}

// ofGroup returns the labels of an alert about a group.
func ofGroup(instance, group, alert, severity string) map[string]string {
	l := labelsFor(instance, alert, severity, "")
	l["group"] = group
	return l
}

func TestTheWorstAlertOfAGroupOrAnExporterSuppressesTheOthers(t *testing.T) {
	tests := []struct {
		name       string
		alerts     []map[string]string
		suppressed []string // names, sorted
	}{
		{"an exporter that is down suppresses its other alerts, and no alert of another host", []map[string]string{
			labelsFor("down", "ClosewaitExporterDown", "warning", ""),
			labelsFor("down", "ClosewaitScanFailing", "warning", ""),
			labelsFor("down", "ClosewaitDescriptorsExhausted", "critical", "42"),
			labelsFor("other", "ClosewaitLeak", "warning", "42"),
		}, []string{"ClosewaitDescriptorsExhausted", "ClosewaitScanFailing"}},
		{"a critical alert suppresses lesser alerts of the same group", []map[string]string{
			labelsFor("same", "ClosewaitDescriptorsRunOutSoon", "critical", "42"),
			labelsFor("same", "ClosewaitDescriptorsWillRunOut", "warning", "42"),
			ofGroup("same", "shop.service", "ClosewaitLeak", "warning"),
			ofGroup("same", "shop.service", "ClosewaitStuck", "info"),
		}, []string{"ClosewaitDescriptorsWillRunOut", "ClosewaitLeak", "ClosewaitStuck"}},
		{"a critical alert suppresses that the group is stuck", []map[string]string{
			labelsFor("stuck", "ClosewaitNotAccepting", "critical", "42"),
			ofGroup("stuck", "shop.service", "ClosewaitStuck", "info"),
		}, []string{"ClosewaitStuck"}},
		{"a critical alert does not suppress another group, the reaper or the exporter", []map[string]string{
			labelsFor("several", "ClosewaitNotAccepting", "critical", "42"),
			ofGroup("several", "tea.service", "ClosewaitLeak", "warning"),
			labelsFor("several", "ClosewaitReaperCannotAct", "warning", ""),
			labelsFor("several", "ClosewaitReaperActed", "info", ""),
			labelsFor("several", "ClosewaitCoverageLow", "warning", ""),
		}, nil},
		{"a leak that reaches the limit pages once", []map[string]string{
			labelsFor("once", "ClosewaitDescriptorsRunOutSoon", "critical", "42"),
			labelsFor("once", "ClosewaitDescriptorsExhausted", "critical", "42"),
			labelsFor("once", "ClosewaitNotAccepting", "critical", "42"),
		}, []string{"ClosewaitDescriptorsExhausted", "ClosewaitNotAccepting"}},
		{"another process that has reached its limit pages", []map[string]string{
			labelsFor("two", "ClosewaitDescriptorsRunOutSoon", "critical", "42"),
			labelsFor("two", "ClosewaitDescriptorsExhausted", "critical", "43"),
		}, nil},
		{"a leak that takes hours is one warning", []map[string]string{
			labelsFor("slow", "ClosewaitDescriptorsWillRunOut", "warning", "42"),
			ofGroup("slow", "shop.service", "ClosewaitLeak", "warning"),
		}, []string{"ClosewaitLeak"}},
		{"a group that is restarted again and again pages once", []map[string]string{
			ofGroup("again", "shop.service", "ClosewaitLeaksAgain", "critical"),
			labelsFor("again", "ClosewaitDescriptorsRunOutSoon", "critical", "42"),
			labelsFor("again", "ClosewaitDescriptorsExhausted", "critical", "41"),
			labelsFor("again", "ClosewaitNotAccepting", "critical", "42"),
			ofGroup("again", "shop.service", "ClosewaitLeak", "warning"),
		}, []string{"ClosewaitDescriptorsExhausted", "ClosewaitDescriptorsRunOutSoon", "ClosewaitLeak", "ClosewaitNotAccepting"}},
		{"a group that is always restarted in time does not page, until it is not", []map[string]string{
			ofGroup("in-time", "shop.service", "ClosewaitLeaksAgain", "warning"),
			labelsFor("in-time", "ClosewaitDescriptorsRunOutSoon", "critical", "42"),
			labelsFor("in-time", "ClosewaitDescriptorsExhausted", "critical", "43"),
		}, []string{"ClosewaitDescriptorsRunOutSoon"}},
		{"without pids a group counts as a process", []map[string]string{
			ofGroup("group", "shop.service", "ClosewaitDescriptorsExhausted", "critical"),
			ofGroup("group", "shop.service", "ClosewaitDescriptorsRunOutSoon", "critical"),
			ofGroup("group", "tea.service", "ClosewaitLeak", "warning"),
		}, []string{"ClosewaitDescriptorsExhausted"}},
		{"a warning about the reaper does not suppress that it has acted", []map[string]string{
			labelsFor("reaper", "ClosewaitReaperCannotAct", "warning", ""),
			labelsFor("reaper", "ClosewaitReaperActed", "info", ""),
		}, nil},
	}
	api := "http://" + promtest.StartAlertmanager(t, alertmanagerPath) + "/api/v2/alerts"
	for _, test := range tests {
		raise(t, api, test.alerts)
	}
	awaitInhibition(t, api)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := suppressed(t, api, test.alerts); !slices.Equal(got, test.suppressed) {
				t.Errorf("suppressed are %v, want %v", got, test.suppressed)
			}
		})
	}
}

// awaitInhibition waits until Alertmanager has processed all alerts so far. It processes them in
// order, and the last one suppresses another.
func awaitInhibition(t *testing.T, api string) {
	t.Helper()
	last := []map[string]string{labelsFor("last", "ClosewaitLeak", "warning", "1"), labelsFor("last", "ClosewaitNotAccepting", "critical", "1")}
	raise(t, api, last)
	leaktest.Eventually(t, time.Minute, func() (bool, string) {
		return len(suppressed(t, api, last)) == 1, "the last alert is not suppressed"
	})
}

func raise(t *testing.T, api string, alerts []map[string]string) {
	t.Helper()
	var body []map[string]any
	for _, l := range alerts {
		body = append(body, map[string]any{"labels": l})
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(api, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("raise alerts: %s, %v", answer.Status, err)
	}
}

// suppressed returns the names of the alerts that Alertmanager inhibits.
func suppressed(t *testing.T, api string, alerts []map[string]string) []string {
	t.Helper()
	var instances, names []string
	for _, l := range alerts {
		instances = append(instances, l["instance"])
	}
	slices.Sort(instances)
	for _, instance := range slices.Compact(instances) {
		for _, a := range query(t, api, instance) {
			if len(a.Status.InhibitedBy) > 0 {
				names = append(names, a.Labels["alertname"])
			}
		}
	}
	slices.Sort(names)
	return names
}

// raised is an alert in the API of Alertmanager.
type raised struct {
	Labels map[string]string `json:"labels"`
	Status struct {
		InhibitedBy []string `json:"inhibitedBy"`
	} `json:"status"`
}

func query(t *testing.T, api, instance string) []raised {
	t.Helper()
	answer, err := http.Get(api + "?filter=instance%3D" + instance)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var alerts []raised
	if err := json.NewDecoder(answer.Body).Decode(&alerts); err != nil {
		t.Fatal(err)
	}
	return alerts
}
