package reapertest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
)

// randomHex returns digits that no other test uses: control groups are the host's.
func randomHex(digits int) string {
	random := make([]byte, digits/2)
	rand.Read(random)
	return hex.EncodeToString(random)
}

// TestARuleForAUnitIsAboutTheHostsUnit has units of one name: of a user, of a container, of a
// machine, of a service with Delegate=yes, and of the host.
func TestARuleForAUnitIsAboutTheHostsUnit(t *testing.T) {
	unit := "web-" + randomHex(8) + ".service"
	v := leaktest.Where{Program: leakAs(t, "named")}
	start := func(path string) int {
		join := hosttest.MakeCgroup(t, path+"/"+unit)
		l := v.Start(t, "--outbound=3")
		join(l.PID)
		return l.PID
	}
	id := randomHex(64)
	others := map[string]string{
		"user@4242.service/" + unit:         "user.slice/user-4242.slice/user@4242.service/app.slice",
		"container:" + id[:12] + "/" + unit: "docker/" + id + "/system.slice",
		"machine:" + id[:8] + "/" + unit:    "machine.slice/machine-" + id[:8] + ".scope/payload/system.slice",
		"lxc:" + id[:8] + "/" + unit:        "lxc.payload." + id[:8] + "/system.slice",
		"delegating-" + id[:8] + ".service": "system.slice/delegating-" + id[:8] + ".service",
	}
	series := map[string]bool{}
	for group, path := range others {
		series[fmt.Sprintf(`closewait_process_sockets{comm="named",group=%q,pid="%d",state="close_wait"}`, group, start(path))] = true
	}
	host := start("system.slice")
	asked := filepath.Join(t.TempDir(), "asked")
	guard := filepath.Join(t.TempDir(), "restart")
	write(t, guard, "#!/bin/sh\necho $CLOSEWAIT_PID $1 >> "+asked+"\nexit 1\n")
	if err := os.Chmod(guard, 0o700); err != nil {
		t.Fatal(err)
	}
	e := enforcing(t, preamble+"  - name: named\n    mode: enforce\n    match: {unit: '.*"+unit+"'}\n    when: {sockets: 2, age: 1s}\n"+
		"    steps: [run: {command: ['"+guard+"', '{group}'], timeout: 60s}]\n    "+anyPeer)
	e.awaitSeries(decisions("named", "guard_denied"), 1)
	e.awaitRounds(5)
	values := e.scrape()
	for name := range series {
		if values[name] != 3 {
			t.Errorf("%s is %v, want 3", name, values[name])
		}
	}
	data, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if want := fmt.Sprintf("%d %s\n", host, unit); line != want {
			t.Errorf("the guard was asked about %q, want %q", line, want)
		}
	}
}

// TestACooldownIsKeptWhenTheKubeletRestartsAContainer starts a leak again in the same pod, in a
// container with another id.
func TestACooldownIsKeptWhenTheKubeletRestartsAContainer(t *testing.T) {
	r := randomHex(32)
	pod := fmt.Sprintf("%s-%s-%s-%s-%s", r[:8], r[8:12], r[12:16], r[16:20], r[20:])
	where := leaktest.Where{Program: leakAs(t, "restarted")}
	start := func() *target {
		join := hosttest.MakeCgroup(t, "kubepods/burstable/pod"+pod+"/"+randomHex(64))
		v := follow(t, where.Start(t, "--outbound=3"), where.Program)
		join(v.PID)
		return v
	}
	e := enforcing(t, preamble+"  - name: restarted\n    mode: enforce\n    match: {container: '[0-9a-f]{64}', exe: '"+where.Program+"'}\n"+
		"    when: {sockets: 2, age: 1s}\n    "+soft+"    "+anyPeer+anyEnd)
	first := start()
	e.awaitSeries(remediations("restarted", "terminated"), 1)
	second := start()
	e.awaitSeries(decisions("restarted", "cooldown"), 5)
	values := e.scrape()
	if first.alive() || !second.alive() || values[decisions("restarted", "act")] != 1 {
		t.Errorf("first alive: %v, second alive: %v, %v", first.alive(), second.alive(), values.about(decisions("restarted", "act")))
	}
	if name := fmt.Sprintf(`closewait_process_sockets{comm="restarted",group="pod:%s",pid="%d",state="close_wait"}`, pod, second.PID); values[name] != 3 {
		t.Errorf("%s is %v, want 3", name, values[name])
	}
}

// TestAServerAndWorkersOfAnotherNameEndTogether has neither a unit nor a container, so the group of
// each process is only its name.
func TestAServerAndWorkersOfAnotherNameEndTogether(t *testing.T) {
	v := startTarget(t, leaktest.Where{}, "master", "--sockets=3", "--children=2")
	family := []int{v.pidfd}
	for _, pid := range v.Children {
		family = append(family, openProcess(t, pid))
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || string(comm) == "master\n" {
			t.Fatalf("the worker is called %q, %v: want another name", comm, err)
		}
	}
	e := enforcing(t, preamble+rule("master", v.exe, "when: {age: 1s}\n"+anyPeer+hard))
	await(t, func() (bool, string) {
		values := e.scrape()
		done := values[remediations("master", "terminated")]+values[remediations("master", "killed")] > 0
		return done, fmt.Sprint(values.about(`rule="master"}`))
	})
	for i, pidfd := range family {
		if living(pidfd) {
			t.Errorf("process %d of %d is still running", i, len(family))
		}
	}
	if values := e.scrape(); values[decisions("master", "act")] != 1 {
		t.Errorf("%v decisions to act, want 1", values[decisions("master", "act")])
	}
}
