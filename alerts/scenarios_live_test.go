package alerts

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// soon are the alerts that have fired in the first 200 minutes of a scenario.
var soon = map[string][]string{
	"drip-12":      {leak},
	"sawtooth-80":  {leak},
	"sawtooth-180": {leak},
	"crash-loop":   {again},
	"emfile-loop":  {againExhausted},
	"go-server":    {leak, willRunOut},
	"released":     {leak},
	"prefork-drip": nil,
	"idle-pool":    nil,
	"burst":        nil,
	"streaming":    nil,
	"churn":        nil,
	"sawtooth-50":  nil,
	"drip-1":       nil,
	"drip-4":       nil,
}

// TestTheScenariosAtSixtyTimesThePace runs the same scenarios on a live Prometheus, at a minute a
// second. CLOSEWAIT_LONG=1 runs them to their end. Where the machine was too busy to keep the pace,
// so that a state of a minute lasted longer, it does not say what must not fire: the unit tests do.
func TestTheScenariosAtSixtyTimesThePace(t *testing.T) {
	hosttest.Require(t)
	t.Parallel() // it waits most of the time
	played := slices.DeleteFunc(slices.Clone(scenarios), func(sc scenario) bool { _, ok := soon[sc.name]; return !ok })
	seconds := 200
	if os.Getenv("CLOSEWAIT_LONG") != "" {
		played, seconds = scenarios, long
	}
	targets := map[string]bool{} // whether they export pids, by address
	started := time.Now()
	for _, pidLabel := range []bool{true, false} {
		server := httptest.NewServer(replay(played, pidLabel, started))
		t.Cleanup(server.Close)
		targets[server.Listener.Addr().String()] = pidLabel
	}
	prometheus := promtest.StartPrometheus(t, map[string][]string{"closewait": slices.Collect(maps.Keys(targets))},
		filepath.Join(scaledCopies(t), rulesPath))

	end := started.Add(time.Duration(seconds) * time.Second)
	leaktest.EventuallyEvery(t, time.Until(end)+time.Minute, time.Second, func() (bool, string) {
		scraped, err := prometheus.Query(`min(timestamp(up{job="closewait"}))`)
		return err == nil && len(scraped) == 1 && scraped[0] >= float64(end.Unix()), fmt.Sprintf("scraped at %v (%v), want %v", scraped, err, end)
	})
	began, late := beginnings(t, prometheus, end), longestWait(t, prometheus, end, seconds)
	keptPace := late < 1500*time.Millisecond
	if !keptPace {
		t.Logf("what fires too often is not checked: a scrape came %v after the one before", late)
	}
	for address, pidLabel := range targets {
		for _, sc := range played {
			got := began[address][sc.name]
			must := soon[sc.name]
			if seconds == long {
				must = slices.Collect(maps.Keys(sc.firings))
			}
			for _, alert := range must {
				if got[alert] == 0 {
					t.Errorf("%s, pids %v: %s has not fired", sc.name, pidLabel, alert)
				}
			}
			for alert, times := range got {
				if keptPace && times > sc.firings[alert] {
					t.Errorf("%s, pids %v: %s has begun to fire %d times, want at most %d", sc.name, pidLabel, alert, times, sc.firings[alert])
				}
			}
		}
	}
}

// replay answers scrapes with the state of all scenarios, a minute for each second since the start.
func replay(played []scenario, pidLabel bool, started time.Time) http.HandlerFunc {
	all := map[string][]float64{}
	for _, sc := range played {
		maps.Copy(all, sc.simulate().series(sc.name, pidLabel))
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		minute := int(time.Since(started).Seconds())
		for name, values := range all {
			if minute >= len(values) || values[minute] == absent {
				continue
			}
			metric, labels, _ := strings.Cut(name, "{")
			labels = labels[strings.Index(labels, "group="):] // Prometheus adds job and instance
			value := values[minute]
			switch metric {
			case "closewait_process_start_time_seconds":
				value = float64(started.Unix()) + value/60
			case "closewait_process_oldest_socket_age_seconds":
				value /= 60
			}
			_, _ = fmt.Fprintf(w, "%s{%s %v\n", metric, labels, value) // fails if Prometheus is gone
		}
	}
}

// longestWait returns the longest time for which no new sample was there.
func longestWait(t *testing.T, prometheus promtest.Prometheus, end time.Time, seconds int) time.Duration {
	t.Helper()
	query := fmt.Sprintf(`max(max_over_time((time() - timestamp(up{job="closewait"}))[%ds:100ms] @ %d))`, seconds-5, end.Unix())
	waits, err := prometheus.Query(query)
	if err != nil || len(waits) != 1 {
		t.Fatalf("%s is %v: %v", query, waits, err)
	}
	return time.Duration(waits[0] * float64(time.Second))
}

// beginnings counts how often each alert has begun to fire, by exporter and group.
func beginnings(t *testing.T, prometheus promtest.Prometheus, end time.Time) map[string]map[string]map[string]int {
	t.Helper()
	const firing = `ALERTS{group!="",alertstate="firing"}`
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	form := url.Values{
		"query": {"sum by (instance, group, alertname, severity) (count_over_time((" + firing + " unless " + firing + " offset 1s)[1h:1s]))"},
		"time":  {fmt.Sprint(end.Unix())},
	}
	if err := prometheus.Get("query", form, &data); err != nil {
		t.Fatal(err)
	}
	began := map[string]map[string]map[string]int{}
	for _, r := range data.Result {
		address, group := r.Metric["instance"], r.Metric["group"]
		if began[address] == nil {
			began[address] = map[string]map[string]int{}
		}
		if began[address][group] == nil {
			began[address][group] = map[string]int{}
		}
		times := 0
		if _, err := fmt.Sscan(fmt.Sprint(r.Value[1]), &times); err != nil {
			t.Fatal(err)
		}
		began[address][group][r.Metric["alertname"]+" "+r.Metric["severity"]] = times
	}
	return began
}
