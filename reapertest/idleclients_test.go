package reapertest

import (
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestTheReaperActsWhileIdleClientsTakeAllConnections: clients that anybody can start must not take
// the descriptors that scans and steps need.
func TestTheReaperActsWhileIdleClientsTakeAllConnections(t *testing.T) {
	leaktest.RequireProgram(t, "prlimit")
	leaky := startTarget(t, leaktest.Where{}, "crowded", "--outbound=3")
	e := newFiles(t, preamble+rule("crowded", leaky.exe, outbound+soft)).
		startIn(t, []string{"prlimit", "--nofile=256:256"}, "--reaper.enforce")
	leaktest.IdleClients(t, e.address, 1000, 50)
	started := time.Now()
	values := e.scrape()
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("a scrape took %s, want at most 2s", took)
	}
	if values["closewait_scan_success"] != 1 || values["process_max_fds"] != 256 || values["process_open_fds"] > 160 {
		t.Errorf("success %v with %v of %v descriptors, want 1 with at most 160 of 256",
			values["closewait_scan_success"], values["process_open_fds"], values["process_max_fds"])
	}
	e.awaitSeries(remediations("crowded", "terminated"), 1)
	if failed := e.scrape()["closewait_reaper_round_failures_total"]; failed != 0 {
		t.Errorf("%v rounds have failed", failed)
	}
}
