package dashboards

import (
	"fmt"
	"maps"
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
	growing := leaktest.Start(t, "--comm=growing", "--sockets=40", "--unread=none", "--unread=fin", "--unread=300", "--unaccepted=3", "--defunct=3", "--rate=4", "--nofile=4096")
	leaktest.Start(t, "--comm=guarded", "--sockets=5", "--outbound=5", "--keepalive", "--listen=[::1]:0")
	ending := leaktest.Start(t, "--comm=ending", "--sockets=5")

	d := load(t)
	allDefunct := seesAllDefunct(t, prometheus)
	pending := map[string]query{}
	for _, q := range queries(t, d) {
		for _, q.expr = range alternatives(q.expr) {
			pending[q.where+": "+q.expr] = q
		}
	}
	problems := map[string]string{}
	for deadline := time.Now().Add(within); len(pending) > 0 && time.Now().Before(deadline); time.Sleep(interval) {
		growing.Do("close 1") // so that some sockets leave
		values := chosen(t, prometheus, choices(t, d))
		for name, q := range pending {
			answer := prometheus.run(t, q, values)
			if problems[name] = problem(answer, q.labels); problems[name] == "" || !allDefunct && usesDefunct(q) {
				delete(pending, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pending)) {
		t.Errorf("%s\nreturns %s", name, problems[name])
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

// seesAllDefunct reports whether the scanner of an exporter finds defunct sockets that it has not
// seen in CLOSE_WAIT. Other scanners have no series of them here.
func seesAllDefunct(t *testing.T, prometheus server) bool {
	t.Helper()
	scanners, err := prometheus.labelValues("closewait_scanner_info", "scanner")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(scanners, "ebpf")
}

func usesDefunct(q query) bool {
	return slices.ContainsFunc(parse(q.expr).metrics, func(use metricUse) bool {
		return use.name == "closewait_process_defunct_sockets"
	})
}

// chosen returns the variables of the dashboard with all their values selected.
func chosen(t *testing.T, prometheus server, choices []choice) map[string]string {
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
