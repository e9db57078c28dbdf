package dashboards

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// Scrapes are a second apart here, so that trends and rates need seconds only.
const (
	shown  = 30 * time.Second // the time range of the dashboard
	within = 50 * time.Second // it takes about 15
	pace   = 500 * time.Millisecond
)

var times = map[string]string{"trend": "8s", "__rate_interval": "5s", "__range": "30s"}

// A real Prometheus, which scrapes real exporters, is asked for all that the dashboard shows, while real
// processes leak in all ways that it tells apart.
func TestTheDashboardOnALivePrometheus(t *testing.T) {
	prometheus := startPrometheus(t)
	growing := leaktest.Start(t, "--sockets=40", "--unread=none", "--unread=fin", "--unread=300", "--unaccepted=3", "--rate=4", "--nofile=4096")
	ending := leaktest.Start(t, "--sockets=5", "--outbound=5", "--children=1", "--keepalive", "--listen=[::1]:0")

	d := load(t)
	pending := map[string]query{}
	for _, q := range queries(t, d) {
		for _, q.expr = range alternatives(q.expr) {
			pending[q.where+": "+q.expr] = q
		}
	}
	lacking := map[string]string{}
	for deadline := time.Now().Add(within); len(pending) > 0 && time.Now().Before(deadline); time.Sleep(pace) {
		growing.Do("close 1") // so that some sockets leave
		values := chosen(t, prometheus, choices(t, d))
		for name, q := range pending {
			answer := prometheus.ask(t, q, values)
			if lacking[name] = lacks(answer, q.labels); lacking[name] == "" || isAwaited(q) {
				delete(pending, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pending)) {
		t.Errorf("%s\ngives %s", name, lacking[name])
	}

	pid := strconv.Itoa(ending.PID)
	ending.Stop()
	leaktest.Eventually(t, within, func() (bool, string) {
		values := chosen(t, prometheus, choices(t, d))
		for _, q := range queries(t, d) {
			if q.instant && slices.ContainsFunc(prometheus.ask(t, q, values), func(s sequence) bool { return s.Metric["pid"] == pid }) {
				return false, q.where + " still shows a process that has ended"
			}
		}
		return true, ""
	})
}

// alternatives returns the operands of or, which stand on lines of their own: each has to give data.
func alternatives(expr string) []string { return strings.Split(expr, "\n  or ") }

// isAwaited tells whether a query is of something that is not there yet.
func isAwaited(q query) bool {
	return slices.ContainsFunc(parse(q.expr).metrics, func(use metricUse) bool {
		return slices.ContainsFunc(awaited, named(use.name))
	})
}

// chosen returns the variables of the dashboard when all values there are have been picked by hand.
func chosen(t *testing.T, prometheus *server, choices []choice) map[string]string {
	t.Helper()
	values := maps.Clone(times)
	for _, c := range choices {
		found, err := prometheus.labelValues(substitute(c.selector, values), c.label)
		if err != nil {
			t.Fatalf("variable %s: %v", c.name, err)
		}
		for i := range found {
			found[i] = strings.ReplaceAll(regexp.QuoteMeta(found[i]), `\`, `\\`)
		}
		values[c.name] = "(" + strings.Join(found, "|") + ")"
	}
	return values
}

// substitute puts the values of variables into an expression, as Grafana does.
func substitute(expr string, values map[string]string) string {
	return variable.ReplaceAllStringFunc(expr, func(name string) string { return values[strings.TrimPrefix(name, "$")] })
}
