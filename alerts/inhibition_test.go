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

// named are the labels of alerts of an exporter or, with a pid, of a process.
func named(instance, alert, severity, pid string) map[string]string {
	l := map[string]string{"job": "closewait", "instance": instance, "alertname": alert, "severity": severity}
	if pid != "" {
		l["group"], l["pid"], l["comm"] = "shop.service", pid, "shop"
	}
	return l
}

func TestTheWorstNewsOfAProcessOrAnExporterIsEnough(t *testing.T) {
	tests := []struct {
		name       string
		alerts     []map[string]string
		suppressed []string // names, sorted
	}{
		{"an exporter that is down silences all that it said before, on its own host", []map[string]string{
			named("down", "ClosewaitExporterDown", "warning", ""),
			named("down", "ClosewaitScanFailing", "warning", ""),
			named("down", "ClosewaitDescriptorsExhausted", "critical", "42"),
			named("other", "ClosewaitLeak", "warning", "42"),
		}, []string{"ClosewaitDescriptorsExhausted", "ClosewaitScanFailing"}},
		{"what is critical silences lesser news of the same process", []map[string]string{
			named("same", "ClosewaitDescriptorsRunOutSoon", "critical", "42"),
			named("same", "ClosewaitDescriptorsWillRunOut", "warning", "42"),
			named("same", "ClosewaitLeak", "warning", "42"),
			named("same", "ClosewaitStuck", "info", "42"),
		}, []string{"ClosewaitDescriptorsWillRunOut", "ClosewaitLeak", "ClosewaitStuck"}},
		{"what is critical silences that something is stuck", []map[string]string{
			named("stuck", "ClosewaitNotAccepting", "critical", "42"),
			named("stuck", "ClosewaitStuck", "info", "42"),
		}, []string{"ClosewaitStuck"}},
		{"what is critical does not silence another process, the reaper or the exporter", []map[string]string{
			named("several", "ClosewaitNotAccepting", "critical", "42"),
			named("several", "ClosewaitLeak", "warning", "43"),
			named("several", "ClosewaitReaperCannotAct", "warning", ""),
			named("several", "ClosewaitReaperActed", "info", ""),
			named("several", "ClosewaitCoverageLow", "warning", ""),
		}, nil},
		{"a leak silences that it is stuck", []map[string]string{
			named("leak", "ClosewaitLeak", "warning", "42"),
			named("leak", "ClosewaitStuck", "info", "42"),
		}, []string{"ClosewaitStuck"}},
		{"without pids a group counts as a process", []map[string]string{
			{"job": "closewait", "instance": "group", "group": "shop.service", "alertname": "ClosewaitDescriptorsExhausted", "severity": "critical"},
			{"job": "closewait", "instance": "group", "group": "shop.service", "alertname": "ClosewaitDescriptorsRunOutSoon", "severity": "critical"},
			{"job": "closewait", "instance": "group", "group": "tea.service", "alertname": "ClosewaitLeak", "severity": "warning"},
		}, []string{"ClosewaitDescriptorsRunOutSoon"}},
		{"a warning about the reaper does not silence that it has acted", []map[string]string{
			named("reaper", "ClosewaitReaperCannotAct", "warning", ""),
			named("reaper", "ClosewaitReaperActed", "info", ""),
		}, nil},
	}
	api := "http://" + promtest.StartAlertmanager(t, alertmanagerPath) + "/api/v2/alerts"
	for _, test := range tests {
		raise(t, api, test.alerts)
	}
	settle(t, api)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := suppressed(t, api, test.alerts); !slices.Equal(got, test.suppressed) {
				t.Errorf("suppressed are %v, want %v", got, test.suppressed)
			}
		})
	}
}

// settle waits until Alertmanager has thought about all alerts so far. It takes them in order, and
// the last of them suppresses another.
func settle(t *testing.T, api string) {
	t.Helper()
	last := []map[string]string{named("last", "ClosewaitLeak", "warning", "1"), named("last", "ClosewaitNotAccepting", "critical", "1")}
	raise(t, api, last)
	leaktest.Eventually(t, 10*time.Second, func() (bool, string) {
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

// suppressed are the names of those of the alerts that Alertmanager inhibits.
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

// raised is an alert as Alertmanager answers it.
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
