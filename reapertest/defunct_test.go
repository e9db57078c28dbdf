package reapertest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// defunct is evidence that peers have reset.
const defunct = "when: {sockets: 6, age: 1s, include_defunct: true}\n" + anyPeer

func TestALeakThatPeersResetIsCured(t *testing.T) {
	for _, engine := range []string{"auto", "netlink"} {
		t.Run(engine, func(t *testing.T) { resetAll(t, "--collector.scanner="+engine) })
	}
}

// resetAll lets the peers reset all that leaks before the rules count anything. The exporter sees it in
// CLOSE_WAIT first, as not every engine knows it otherwise.
func resetAll(t *testing.T, engine string) {
	leaks := []struct {
		name, rule, flags string
		cured             bool
	}{
		{"reset", defunct + soft, "", true},
		{"reset-v6", defunct + soft, "--listen=[::1]:0", true},
		{"reset-shared", defunct + soft, "--children=1 --comm=reset-shared", true},
		{"reset-destroyed", defunct + "steps: [destroy: {}, shutdown: {}, signal: {name: TERM, wait: 20s}]\n", "", true},
		{"reset-uncounted", strings.Replace(defunct, "true", "false", 1) + soft, "", false},
		{"reset-outbound", strings.Replace(defunct, "age: 1s", "age: 1s, direction: outbound", 1) + soft, "", false},
		{"reset-fds", strings.Replace(defunct, "age: 1s", "age: 1s, fds: 5000", 1) + soft, "", false},
	}
	rules, victims := preamble, map[string]*victim{}
	for _, l := range leaks {
		v := startVictim(t, leaktest.Where{}, l.name, strings.Fields(l.flags+" --sockets=6")...)
		victims[l.name] = v
		rules += rule(l.name, v.exe, l.rule)
	}
	e := enforcing(t, strings.ReplaceAll(rules, "age: 1s", "age: 1h"), engine)
	e.awaitRounds(3)
	for _, v := range victims {
		v.Do("reset 6")
	}
	e.awaitRounds(3)
	write(t, e.rules, rules)
	e.signal(syscall.SIGHUP)
	for _, l := range leaks {
		if !l.cured {
			continue
		}
		e.awaitSeries(reaped(l.name, "terminated"), 1)
		values := e.scrape()
		if freed := values[fmt.Sprintf("closewait_reaper_released_sockets_total{rule=%q}", l.name)]; victims[l.name].alive() || freed < 6 {
			t.Errorf("%s: alive is %v, %v sockets came free: %v", l.name, victims[l.name].alive(), freed, values.about(`rule="`+l.name+`"}`))
		}
	}
	e.awaitSeries(decisions("reset-fds", "enough_fds"), 5)
	values := e.scrape()
	for _, l := range leaks {
		if l.cured {
			continue
		}
		if values[decisions(l.name, "act")] != 0 || !victims[l.name].alive() {
			t.Errorf("%s: it is acted upon: %v", l.name, values.about(`rule="`+l.name+`"}`))
		}
	}
	if said := e.log.String(); !strings.Contains(said, "6 of 6 sockets are evidence (6 of them defunct)") || !strings.Contains(said, "skipped: they are defunct") {
		t.Error("the log does not tell what was defunct")
	}
}

// TestADestroyedLeakIsStillALeak: SOCK_DESTROY takes all evidence out of CLOSE_WAIT, and frees no descriptor.
func TestADestroyedLeakIsStillALeak(t *testing.T) {
	const when = "when: {sockets: 3, age: 1s, direction: outbound, include_defunct: true}\n"
	alone := startVictim(t, leaktest.Where{}, "destroyed", "--outbound=3")
	further := startVictim(t, leaktest.Where{NetNS: true}, "destroyed-then", "--outbound=3")
	e := enforcing(t, preamble+rule("destroyed", alone.exe, when+"steps: [destroy: {}]\n")+
		rule("destroyed-then", further.exe, when+"steps: [destroy: {}, signal: {name: TERM, wait: 20s}]\n"))
	e.awaitSeries(reaped("destroyed", "aborted"), 1)
	e.awaitSeries(reaped("destroyed-then", "terminated"), 1)
	values := e.scrape()
	released := func(name string) float64 {
		return values[fmt.Sprintf("closewait_reaper_released_fds_total{rule=%q}", name)]
	}
	if !alone.alive() || values[reaped("destroyed", "recovered")] != 0 || released("destroyed") != 0 {
		t.Errorf("destroy alone counts as a cure: %v", values.about(`rule="destroyed"}`))
	}
	if further.alive() || released("destroyed-then") < 3 || values[failures("destroyed-then", "destroy")] != 0 {
		t.Errorf("TERM is no cure: %v", values.about(`rule="destroyed-then"}`))
	}
}
