package reapertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
)

// TestAProcessIsNotEndedForTheProgramThatItRanBefore has processes that execute another program, or
// their own with other arguments, while a guard runs. They keep their sockets.
func TestAProcessIsNotEndedForTheProgramThatItRanBefore(t *testing.T) {
	dir := t.TempDir()
	other := leakAs(t, "payments")
	cases := map[string]struct {
		rule    string
		program func(*target) string
	}{
		"other-program":   {"", func(*target) string { return other }},
		"other-arguments": {keepalive, func(p *target) string { return p.exe }},
	}
	rules, targets := preamble, map[string]*target{}
	for name, c := range cases {
		p := startTarget(t, leaktest.Where{}, name, "--outbound=3", "--keepalive")
		targets[name] = p
		rules += rule(name, p.exe, c.rule+guarded(waitIn(dir, name))(t, p))
	}
	e := enforcing(t, rules)
	for name, c := range cases {
		await(t, func() (bool, string) {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil, name + ": the guard does not run"
		})
		p := targets[name]
		p.Do("exec " + c.program(p))
		await(t, func() (bool, string) {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
			return string(line) == c.program(p)+"\x00holder\x00", fmt.Sprintf("%s: %q, %v", name, line, err)
		})
	}
	write(t, filepath.Join(dir, "go"), "")
	for name := range cases {
		e.awaitSeries(decisions(name, "gone"), 1)
	}
	e.awaitRounds(5)
	for name, p := range targets {
		if values := e.scrape(); values[actions(name, "signal")] != 0 || !p.alive() {
			t.Errorf("%s: alive is %v, %v", name, p.alive(), values.about(`rule="`+name+`"}`))
		}
	}
}

// TestAProgramOfAContainerIsNotTheHostsWithItsPath has a container that runs a program of its own
// at the path of the host's service, under the same name.
func TestAProgramOfAContainerIsNotTheHostsWithItsPath(t *testing.T) {
	leaktest.RequireRoot(t)
	exe, id := leakAs(t, "service"), randomHex(64)
	unit := "service-" + id[:8] + ".service"
	joinUnit := hosttest.MakeCgroup(t, "system.slice/"+unit)
	joinContainer := hosttest.MakeCgroup(t, "docker/"+id+"/system.slice/"+unit)
	inside := launcher(t, leakAs(t, "inside"), `exec unshare --mount --propagation private -- sh -c 'mount --bind "$0" "$1" && exec "$@"' "$program" `+exe+` "$@"`)
	container := follow(t, leaktest.Where{Program: inside}.Start(t, "--outbound=3"), exe)
	joinContainer(container.PID)
	host := follow(t, leaktest.Where{Program: exe}.Start(t, "--outbound=3"), exe)
	joinUnit(host.PID)
	for _, p := range []*target{container, host} {
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID)); err != nil || link != exe {
			t.Fatalf("process %d runs %q, %v, want %s", p.PID, link, err, exe)
		}
	}
	e := enforcing(t, preamble+"  - name: service\n    mode: enforce\n    match: {exe: '"+exe+"', unit: '"+unit+"'}\n    "+
		"when: {sockets: 2, age: 1s}\n    "+anyPeer+"    "+soft+anyEnd)
	e.awaitSeries(remediations("service", "terminated"), 1)
	e.awaitRounds(10)
	if host.alive() || !container.alive() {
		t.Errorf("the service of the host is alive: %v, the process of the container: %v", host.alive(), container.alive())
	}
}
