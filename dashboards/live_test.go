package dashboards

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
)

// Scrapes are a second apart here, so that trends and rates need only seconds.
const (
	shown    = 30 * time.Second // the time range of the dashboard
	within   = 2 * time.Minute  // it takes about 15 seconds on an idle machine
	interval = time.Second      // between two rounds of queries
)

var times = map[string]string{"trend": "8s", "__rate_interval": "5s", "__range": "30s"}

// TestTheDashboardOnALivePrometheus runs all queries of the dashboard on a real Prometheus, which
// scrapes real exporters, one of them with a reaper, while real processes leak.
func TestTheDashboardOnALivePrometheus(t *testing.T) {
	hosttest.Require(t)
	prometheus := startPrometheus(t)
	awaitScrapes(t, prometheus) // rate() does not see what is counted before the first scrape
	growing := leaktest.Start(t, "--comm=growing", "--sockets=40", "--unread=none", "--unread=fin", "--unread=300", "--unaccepted=6", "--closed=3", "--rate=4", "--nofile=4096")
	leaktest.Start(t, "--comm=guarded", "--sockets=5", "--outbound=5", "--keepalive", "--listen=[::1]:0")
	ending := leaktest.Start(t, "--comm=ending", "--sockets=5")

	d := load(t)
	pending := map[string]query{}
	for _, q := range queries(t, d) {
		for _, q.expr = range alternatives(q.expr) {
			pending[q.where+": "+q.expr] = q
		}
	}
	problems := map[string]string{}
	for deadline := time.Now().Add(within); len(pending) > 0 && time.Now().Before(deadline); time.Sleep(interval) {
		growing.Do("close 1") // so that some sockets leave
		values, seen := chosen(t, prometheus, choices(t, d)), statesSeen(t, prometheus)
		for name, q := range pending {
			answer := prometheus.run(t, q, values)
			if problems[name] = problem(answer, q.labels); problems[name] == "" || needsUnseen(q, seen) {
				delete(pending, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pending)) {
		t.Errorf("%s\nreturns %s", name, problems[name])
	}
	if os.Getenv("CLOSEWAIT_LONG") != "" {
		t.Run("drawn by Grafana's components", func(t *testing.T) {
			requireRenderer(t)
			requireDrawn(t, prometheus)
		})
	}
	noNumberOutlives(t, prometheus, ending.PID)
}

// awaitScrapes waits until both exporters have been scraped.
func awaitScrapes(t *testing.T, prometheus server) {
	t.Helper()
	leaktest.Eventually(t, within, func() (bool, string) {
		found, err := prometheus.labelValues("closewait_scan_success", "instance")
		return len(found) == 2, fmt.Sprintf("scraped are %q: %v", found, err)
	})
}

// noNumberOutlives waits until no instant query shows a process that the reaper has ended.
func noNumberOutlives(t *testing.T, prometheus server, pid int) {
	t.Helper()
	shows := func(s sequence) bool { return s.Metric["pid"] == strconv.Itoa(pid) }
	leaktest.Eventually(t, within, func() (bool, string) {
		values := chosen(t, prometheus, choices(t, load(t)))
		values["trend"] = "1h" // within which the process was there
		for _, q := range queries(t, load(t)) {
			if q.instant && slices.ContainsFunc(prometheus.run(t, q, values), shows) {
				return false, q.where + " still shows a process that has ended"
			}
		}
		return true, ""
	})
}

// alternatives returns the operands of or, which are on separate lines: each has to return data.
func alternatives(expr string) []string { return strings.Split(expr, "\n  or ") }

// statesSeen returns the states that some exporter has series of: those that its scanner sees.
func statesSeen(t *testing.T, prometheus server) []string {
	t.Helper()
	var states []string
	for _, metric := range []string{"closewait_process_sockets", "closewait_process_other_sockets"} {
		found, err := prometheus.labelValues(metric, "state")
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, found...)
	}
	return states
}

// statesOf matches what a query says about the states it needs.
var statesOf = regexp.MustCompile(`state="(\w+)"|closewait_process_(other)_sockets`)

// native matches a query of a native histogram, which needs Prometheus 3.
var native = regexp.MustCompile(`closewait_socket_duration_seconds\{`)

// needsUnseen reports whether a query is only about states that no scanner sees, or about native
// histograms, which this Prometheus does not scrape.
func needsUnseen(q query, seen []string) bool {
	if native.MatchString(q.expr) {
		return true
	}
	for _, found := range statesOf.FindAllStringSubmatch(q.expr, -1) {
		if found[1] != "" && !slices.Contains(seen, found[1]) {
			return true
		}
		if found[2] != "" && !slices.Contains(seen, "fin_wait2") && !slices.Contains(seen, "unconnected") {
			return true
		}
	}
	return false
}

// chosen returns the variables of the dashboard with all their values selected.
func chosen(t *testing.T, prometheus server, choices []choice) map[string]string {
	t.Helper()
	values := maps.Clone(times)
	for _, c := range choices {
		if c.all != "" { // there is no Kubernetes here
			values[c.name] = c.all
			continue
		}
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
