package reapertest

import (
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestTimeInWhichNobodyLookedIsNoEvidence stops the exporter for ten times when.age.
func TestTimeInWhichNobodyLookedIsNoEvidence(t *testing.T) {
	const age = time.Second
	leaks, heals := leakAs(t, "leaks"), leakAs(t, "heals")
	const when = "when: {sockets: 2, age: 1s, direction: outbound}\n"
	e := enforcing(t, preamble+rule("leaks", leaks, when+soft)+rule("heals", heals, when+soft))
	e.awaitRounds(2)
	e.signal(syscall.SIGSTOP)
	leaking := follow(t, leaktest.Where{Program: leaks}.Start(t, "--outbound=3"), leaks)
	healing := follow(t, leaktest.Where{Program: heals}.Start(t, "--outbound=3"), heals)
	time.Sleep(10 * age)
	if !leaking.alive() {
		t.Fatal("it was ended while the exporter was stopped")
	}
	woken := time.Now()
	e.signal(syscall.SIGCONT)
	healing.Do("close 3")

	e.awaitSeries(decisions("leaks", "gap"), 1)
	e.awaitSeries(reaped("leaks", "terminated"), 1)
	if after := e.records(t, "leaks")[0].Time.Sub(woken); after < age {
		t.Errorf("acted upon %v after the gap, of which nothing counts: want %v at least", after, age)
	}
	if values := e.scrape(); values[decisions("heals", "act")] != 0 || !healing.alive() {
		t.Errorf("what has ended during the gap counts: %v", values.about(decisions("heals", "act")))
	}
}
