package reapertest

import (
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestTimeWithoutScansIsNoEvidence stops the exporter for ten times when.age.
func TestTimeWithoutScansIsNoEvidence(t *testing.T) {
	const age = time.Second
	leaks, heals := leakAs(t, "leaks"), leakAs(t, "heals")
	const when = "when: {sockets: 2, age: 1s}\n" + anyPeer
	e := enforcing(t, preamble+rule("leaks", leaks, when+soft)+rule("heals", heals, when+soft))
	e.awaitRounds(2)
	e.signal(syscall.SIGSTOP)
	leaking := follow(t, leaktest.Where{Program: leaks}.Start(t, "--outbound=3"), leaks)
	healing := follow(t, leaktest.Where{Program: heals}.Start(t, "--outbound=3"), heals)
	time.Sleep(10 * age) // the gap is what is tested
	if !leaking.alive() {
		t.Fatal("it was ended while the exporter was stopped")
	}
	resumed := time.Now()
	e.signal(syscall.SIGCONT)
	healing.Do("close 3")

	e.awaitSeries(decisions("leaks", "gap"), 1)
	e.awaitSeries(remediations("leaks", "terminated"), 1)
	if after := e.records(t, "leaks")[0].Time.Sub(resumed); after < age {
		t.Errorf("acted upon %v after the gap, which must not count: want at least %v", after, age)
	}
	if values := e.scrape(); values[decisions("heals", "act")] != 0 || !healing.alive() {
		t.Errorf("sockets that were closed during the gap count: %v", values.about(decisions("heals", "act")))
	}
}
