package reapertest

import (
	"fmt"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestTheTimeThatIsLeftAndTheTimeOfDay runs rules with time_left and with windows beside each
// other: against a leak that grows, one that does not, and one outside of the window of its rule.
func TestTheTimeThatIsLeftAndTheTimeOfDay(t *testing.T) {
	window := func(from, to time.Duration) string {
		clock := func(d time.Duration) string { return time.Now().Add(d).UTC().Format("15:04") }
		return fmt.Sprintf("window: {from: '%s', to: '%s', zone: UTC}\n", clock(from), clock(to))
	}
	const soon = "when: {sockets: 5, age: 1s, fds: 10, time_left: 1d}\n"
	grows, stays, waits, now := leakAs(t, "grows"), leakAs(t, "stays"), leakAs(t, "waits"), leakAs(t, "now")
	rules := preamble + rule("grows", grows, soon+soft) + rule("stays", stays, soon+soft) +
		rule("waits", waits, "when: {age: 1s, fds: 10}\n"+window(2*time.Hour, 3*time.Hour)+soft) +
		rule("now", now, "when: {age: 1s, fds: 10}\n"+window(-2*time.Hour, 2*time.Hour)+soft)
	e := enforcing(t, rules)
	start := func(exe string, args ...string) *target {
		return follow(t, leaktest.Where{Program: exe}.Start(t, append([]string{"--sockets=20", "--nofile=4096"}, args...)...), exe)
	}
	steady, patient := start(stays), start(waits)
	start(now)
	start(grows, "--rate=5")
	e.awaitSeries(remediations("now", "terminated"), 1)
	e.awaitSeries(remediations("grows", "terminated"), 1)
	e.awaitSeries(decisions("stays", "enough_time"), 5)
	e.awaitSeries(decisions("waits", "window"), 5)
	if !steady.alive() || !patient.alive() {
		t.Errorf("the leak that does not grow lives: %v, the one outside of its window: %v", steady.alive(), patient.alive())
	}
	if blocked := e.scrape()[`closewait_reaper_blocked_seconds{by="window",rule="waits"}`]; blocked <= 0 {
		t.Errorf("the window has blocked a leak for %v s", blocked)
	}
}
