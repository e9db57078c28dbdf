package reapertest

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
)

const (
	reloadOK   = "closewait_config_last_reload_successful"
	reloadTime = "closewait_config_last_reload_success_timestamp_seconds"
)

// reloads are the ways to reload the rules; ok says whether the reload should succeed.
var reloads = map[string]func(t *testing.T, e *exporter, ok bool){
	"SIGHUP": func(_ *testing.T, e *exporter, _ bool) { e.signal(syscall.SIGHUP) },
	"POST": func(t *testing.T, e *exporter, ok bool) {
		if status, body := e.request(http.MethodPost, "/-/reload"); (status == http.StatusOK) != ok {
			t.Errorf("it answers %d %s", status, body)
		}
	},
}

func TestReloading(t *testing.T) {
	for name, reload := range reloads {
		t.Run(name, func(t *testing.T) {
			cooling := startTarget(t, leaktest.Where{}, "cooling", "--outbound=3", "--ignore-sigterm")
			later := startTarget(t, leaktest.Where{}, "later", "--outbound=3")
			first := preamble + rule("cooling", cooling.exe, outbound+"steps: [signal: {name: TERM, wait: 300ms}]\n")
			second := first + rule("later", later.exe, outbound+soft)
			e := enforcing(t, first)
			e.awaitSeries(remediations("cooling", "aborted"), 1)
			e.awaitSeries(decisions("cooling", "cooldown"), 1)
			before := e.scrape()

			write(t, e.rules, strings.Replace(second, "age: 1s", "age: 0", 1))
			reload(t, e, false)
			await(t, func() (bool, string) { return e.scrape()[reloadOK] == 0, "a bad file counts as loaded" })
			e.awaitRounds(5)
			values := e.scrape()
			if values[decisions("cooling", "cooldown")] <= before[decisions("cooling", "cooldown")] {
				t.Error("the old rules are no longer in force")
			}
			if _, known := values[decisions("later", "act")]; known || values[reloadTime] != before[reloadTime] {
				t.Error("a bad file was accepted")
			}

			write(t, e.rules, second)
			reload(t, e, true)
			e.awaitSeries(reloadOK, 1)
			e.awaitSeries(remediations("later", "terminated"), 1)
			e.awaitRounds(10)
			values = e.scrape()
			if values[decisions("cooling", "act")] != 1 || values["closewait_reaper_budget_remaining"] != 98 {
				t.Errorf("the reload has reset the history: %v", values.about(decisions("cooling", "act")))
			}
			if values[reloadTime] <= before[reloadTime] {
				t.Error("the timestamp of the reload has not changed")
			}
		})
	}
}
