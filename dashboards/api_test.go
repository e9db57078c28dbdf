package dashboards

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/promtest"
)

// server is a Prometheus that is queried as Grafana queries it.
type server struct{ promtest.Prometheus }

// sequence is a series with its samples: one for an instant query, several for a range.
type sequence struct {
	Metric map[string]string
	Value  *sample
	Values []sample
}

// sample is a time and a number as text.
type sample [2]any

func (s sample) isNumber() bool {
	text, _ := s[1].(string)
	_, err := strconv.ParseFloat(text, 64)
	return err == nil && text != "NaN"
}

// run runs the query of a panel as Grafana does: for now, or for each second of the time shown.
func (s server) run(t *testing.T, q query, values map[string]string) []sequence {
	t.Helper()
	now, expr := time.Now(), substitute(q.expr, values)
	path, form := "query", url.Values{"query": {expr}, "time": {stamp(now)}}
	if !q.instant {
		path = "query_range"
		form = url.Values{"query": {expr}, "start": {stamp(now.Add(-shown))}, "end": {stamp(now)}, "step": {"1"}}
	}
	var data struct{ Result []sequence }
	if err := s.Get(path, form, &data); err != nil {
		t.Fatalf("%s: %v\n%s", q.where, err, expr)
	}
	return data.Result
}

func stamp(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

// labelValues returns the values of a variable, as Grafana does.
func (s server) labelValues(selector, label string) ([]string, error) {
	var values []string
	err := s.Get("label/"+label+"/values", url.Values{"match[]": {selector}}, &values)
	return values, err
}

// problem reports why an answer shows nothing, or lacks a label of the legend; it is empty if all
// is there.
func problem(answer []sequence, labels []string) string {
	for _, found := range answer {
		for _, label := range labels {
			if found.Metric[label] == "" {
				return fmt.Sprintf("a series without the label %s of the legend: %v", label, found.Metric)
			}
		}
		if found.Value != nil && found.Value.isNumber() || slices.ContainsFunc(found.Values, sample.isNumber) {
			return ""
		}
	}
	return fmt.Sprintf("%d series, none of them with a number", len(answer))
}
