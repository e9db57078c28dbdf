package reapertest

import (
	"testing"

	"closewait_exporter/internal/leaktest"
)

func TestOnlyOneReaperActsOnAHost(t *testing.T) {
	v := startVictim(t, leaktest.Where{}, "claimed", "--outbound=3")
	first := enforcing(t, preamble+rule("other", "/nonexistent/program", outbound+soft))
	first.awaitRounds(2)

	second := enforcing(t, preamble+rule("claimed", v.exe, outbound+soft))
	second.awaitSeries(decisions("claimed", "suspended"), 10)
	values := second.scrape()
	if values[suspended("host_lock")] != 1 || values[decisions("claimed", "act")] != 0 || len(second.records(t, "")) != 0 || !v.alive() {
		t.Errorf("the second one acts: %v", values.about(decisions("claimed", "act")))
	}
	first.crash()
	second.awaitSeries(reaped("claimed", "terminated"), 1)
	if second.scrape()[suspended("host_lock")] != 0 {
		t.Error("it acts, and says that it may not")
	}
}
