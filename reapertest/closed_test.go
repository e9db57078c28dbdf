package reapertest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// closed is a condition that counts sockets which peers have reset.
const closed = "when: {sockets: 6, age: 1s, fds: 1, states: [close_wait, closed]}\n" + anyPeer

func TestALeakThatPeersResetIsCured(t *testing.T) {
	for _, scanner := range []string{"auto", "netlink"} {
		t.Run(scanner, func(t *testing.T) { resetAll(t, "--collector.scanner="+scanner) })
	}
}

// resetAll resets all leaked sockets before the rules count anything. The exporter sees them in
// CLOSE_WAIT first, as not every scanner finds them otherwise.
func resetAll(t *testing.T, scanner string) {
	leaks := []struct {
		name, rule, flags string
		cured             bool
	}{
		{"reset", closed + soft, "", true},
		{"reset-v6", closed + soft, "--listen=[::1]:0", true},
		{"reset-shared", closed + soft, "--children=1 --comm=reset-shared", true},
		{"reset-destroyed", closed + "steps: [destroy: {}, shutdown: {}, signal: {name: TERM, wait: 20s}]\n", "", true},
		{"reset-uncounted", strings.Replace(closed, ", closed", "", 1) + soft, "", false},
		{"reset-outbound", strings.Replace(closed, "age: 1s", "age: 1s, direction: outbound", 1) + soft, "", false},
		{"reset-fds", strings.Replace(closed, "fds: 1", "fds: 5000", 1) + soft, "", false},
	}
	rules, targets := preamble, map[string]*target{}
	for _, l := range leaks {
		p := startTarget(t, leaktest.Where{}, l.name, strings.Fields(l.flags+" --sockets=6")...)
		targets[l.name] = p
		rules += rule(l.name, p.exe, l.rule)
	}
	e := enforcing(t, strings.ReplaceAll(rules, "age: 1s", "age: 1h"), scanner)
	e.awaitRounds(3)
	for _, p := range targets {
		p.Do("reset 6")
	}
	e.awaitRounds(3)
	write(t, e.rules, rules)
	e.signal(syscall.SIGHUP)
	for _, l := range leaks {
		if !l.cured {
			continue
		}
		e.awaitSeries(remediations(l.name, "terminated"), 1)
		values := e.scrape()
		if freed := values[fmt.Sprintf("closewait_reaper_released_sockets_total{rule=%q}", l.name)]; targets[l.name].alive() || freed < 6 {
			t.Errorf("%s: alive is %v, %v sockets were released: %v", l.name, targets[l.name].alive(), freed, values.about(`rule="`+l.name+`"}`))
		}
	}
	e.awaitSeries(decisions("reset-fds", "enough_fds"), 5)
	values := e.scrape()
	for _, l := range leaks {
		if l.cured {
			continue
		}
		if values[decisions(l.name, "act")] != 0 || !targets[l.name].alive() {
			t.Errorf("%s: it was acted upon: %v", l.name, values.about(`rule="`+l.name+`"}`))
		}
	}
	if log := e.log.String(); !strings.Contains(log, "6 of 6 sockets are evidence (6 of them closed)") || !strings.Contains(log, "closed already") {
		t.Error("the log does not report what was closed")
	}
}

// TestADestroyedLeakIsStillALeak: SOCK_DESTROY takes sockets out of CLOSE_WAIT and frees no
// descriptor.
func TestADestroyedLeakIsStillALeak(t *testing.T) {
	const when = "when: {sockets: 3, age: 1s, fds: 1}\n" + anyPeer
	alone := startTarget(t, leaktest.Where{}, "destroyed", "--outbound=3")
	further := startTarget(t, leaktest.Where{NetNS: true}, "destroyed-then", "--outbound=3")
	e := enforcing(t, preamble+rule("destroyed", alone.exe, when+"steps: [destroy: {}]\n")+
		rule("destroyed-then", further.exe, when+"steps: [destroy: {}, signal: {name: TERM, wait: 20s}]\n"))
	e.awaitSeries(remediations("destroyed", "aborted"), 1)
	e.awaitSeries(remediations("destroyed-then", "terminated"), 1)
	values := e.scrape()
	released := func(name string) float64 {
		return values[fmt.Sprintf("closewait_reaper_released_fds_total{rule=%q}", name)]
	}
	if !alone.alive() || values[remediations("destroyed", "recovered")] != 0 || released("destroyed") != 0 {
		t.Errorf("destroy alone counts as a cure: %v", values.about(`rule="destroyed"}`))
	}
	if further.alive() || released("destroyed-then") < 3 || values[failures("destroyed-then", "destroy")] != 0 {
		t.Errorf("TERM does not count as a cure: %v", values.about(`rule="destroyed-then"}`))
	}
}
