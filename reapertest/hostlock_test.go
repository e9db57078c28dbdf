package reapertest

import (
	"testing"

	"closewait_exporter/internal/leaktest"
)

func TestOnlyOneReaperActsOnAHost(t *testing.T) {
	p := startTarget(t, leaktest.Where{}, "locked", "--outbound=3")
	first := enforcing(t, preamble+rule("other", "/nonexistent/program", outbound+soft))
	first.awaitRounds(2)

	second := enforcing(t, preamble+rule("locked", p.exe, outbound+soft))
	second.awaitSeries(decisions("locked", "suspended"), 10)
	values := second.scrape()
	if values[suspended("host_lock")] != 1 || values[decisions("locked", "act")] != 0 || len(second.records(t, "")) != 0 || !p.alive() {
		t.Errorf("the second reaper acts: %v", values.about(decisions("locked", "act")))
	}
	first.crash()
	second.awaitSeries(remediations("locked", "terminated"), 1)
	if second.scrape()[suspended("host_lock")] != 0 {
		t.Error("it acts, and reports that it is suspended")
	}
}
