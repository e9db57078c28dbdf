package reapertest

import (
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// interval is the time between two rounds, as in preamble.
const interval = 300 * time.Millisecond

// slack is what a loaded machine may take beyond what the rules ask for.
const slack = 3 * time.Second

// TestALeakIsActedUponInTime starts the leaks while the exporter scans, so that it knows nothing
// beforehand.
func TestALeakIsActedUponInTime(t *testing.T) {
	const age, hold = 2 * time.Second, time.Second
	leaks := []struct{ name, rule, flags string }{
		{"outbound", "when: {sockets: 5, age: 2s, for: 1s, direction: " + opened() + "}\n" + anyPeer + soft, "--outbound=10"},
		{"outbound-v6", "when: {sockets: 5, age: 2s, for: 1s, direction: " + opened() + "}\n" + anyPeer + soft, "--listen=[::1]:0 --outbound=10"},
		{"inbound", "when: {sockets: 5, age: 2s, for: 1s, fds: 80%, peer_share: 25%}\n" + soft, "--sockets=60 --peers=12 --nofile=80"},
		{"trusted", "when: {sockets: 5, age: 2s, for: 1s, fds: 80%, peer_share: 25%}\n" + soft, "--listen=[::1]:0 --sockets=60 --nofile=80"},
	}
	rules, exes := "trusted_peers: ['::1/128']\n"+preamble, map[string]string{}
	for _, l := range leaks {
		exes[l.name] = leakAs(t, l.name)
		rules += rule(l.name, exes[l.name], l.rule)
	}
	e := enforcing(t, rules)
	e.awaitRounds(2)
	begun, complete := map[string]time.Time{}, map[string]time.Time{}
	for _, l := range leaks {
		begun[l.name] = time.Now()
		leaktest.Where{Program: exes[l.name]}.Start(t, strings.Fields(l.flags)...)
		complete[l.name] = time.Now()
	}
	for _, l := range leaks {
		e.awaitSeries(remediations(l.name, "terminated"), 1)
	}
	gaps := e.scrape()[decisions("outbound", "gap")]
	for _, l := range leaks {
		acted := e.records(t, l.name)[0].Time
		if took := acted.Sub(begun[l.name]); took < age+hold {
			t.Errorf("%s: acted upon after %v, too early", l.name, took)
		}
		// If the machine was so slow that the time between two scans was a gap, lateness proves
		// nothing.
		if took := acted.Sub(complete[l.name]); took > age+hold+2*interval+slack && gaps == 0 {
			t.Errorf("%s: acted upon after %v, too late", l.name, took)
		}
	}
}
