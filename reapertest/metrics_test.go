package reapertest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// metrics are the values of all series, by name and labels as written in the text.
type metrics map[string]float64

// scrape reads the metrics of the exporter.
func (e *exporter) scrape() metrics {
	e.t.Helper()
	status, body := e.request(http.MethodGet, "/metrics")
	if status != http.StatusOK {
		e.t.Fatalf("/metrics answers %d: %.500s", status, body)
	}
	values := metrics{}
	for text := range strings.Lines(body) {
		name, value, found := cutLast(strings.TrimSpace(text), " ")
		if number, err := strconv.ParseFloat(value, 64); found && err == nil && !strings.HasPrefix(text, "#") {
			values[name] = number
		}
	}
	return values
}

func (e *exporter) request(method, path string) (status int, body string) {
	e.t.Helper()
	request, err := http.NewRequestWithContext(e.t.Context(), method, "http://"+e.address+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, Timeout: maxWait}
	answer, err := client.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// awaitSeries waits until a series has at least the given value.
func (e *exporter) awaitSeries(series string, least float64) {
	e.t.Helper()
	e.awaitSeriesIn(e.t, series, least)
}

// awaitSeriesIn is for subtests.
func (e *exporter) awaitSeriesIn(t *testing.T, series string, least float64) {
	t.Helper()
	await(t, func() (bool, string) {
		values := e.scrape()
		return values[series] >= least, fmt.Sprintf("%s is %v, want %v; of this rule: %v", series, values[series], least, values.about(series))
	})
}

// awaitRounds waits for n more rounds.
func (e *exporter) awaitRounds(n float64) {
	e.t.Helper()
	e.awaitSeries("closewait_reaper_rounds_total", e.scrape()["closewait_reaper_rounds_total"]+n)
}

// about returns the series of the reaper that are not 0 and belong to the same rule or to none.
func (m metrics) about(series string) []string {
	_, rule, _ := cutLast(series, "rule=")
	var lines []string
	for name, value := range m {
		if value != 0 && strings.HasPrefix(name, "closewait_reaper") && (strings.Contains(name, "rule="+rule) || !strings.Contains(name, "rule=")) {
			lines = append(lines, fmt.Sprintf("%s %v", name, value))
		}
	}
	slices.Sort(lines)
	return lines
}

func decisions(rule, decision string) string {
	return fmt.Sprintf(`closewait_reaper_decisions_total{decision=%q,rule=%q}`, decision, rule)
}

func actions(rule, action string) string {
	return fmt.Sprintf(`closewait_reaper_actions_total{action=%q,mode="enforce",rule=%q}`, action, rule)
}

func failures(rule, action string) string {
	return fmt.Sprintf(`closewait_reaper_action_failures_total{action=%q,mode="enforce",rule=%q}`, action, rule)
}

func remediations(rule, result string) string {
	return fmt.Sprintf(`closewait_reaper_remediations_total{result=%q,rule=%q}`, result, rule)
}

func suspended(reason string) string {
	return fmt.Sprintf(`closewait_reaper_suspended{reason=%q}`, reason)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
