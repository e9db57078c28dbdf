package reapertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// everySocket counts sockets of all directions.
var everySocket = "when: {sockets: 2, age: 1s}\n" + anyPeer

// TestNoServiceIsEndedForSocketsThatAreHandedToIt has services of root that keep what they receive
// (SCM_RIGHTS). In the end each leaks by itself, which shows that its rule can act.
func TestNoServiceIsEndedForSocketsThatAreHandedToIt(t *testing.T) {
	leaktest.RequireRoot(t)
	from := map[string]leaktest.Where{"by-user": asUser(t, "user")}
	inside := asUser(t, "inside")
	// Root of a user namespace is an unprivileged user of the host.
	inside.Program = launcher(t, inside.Program, `exec unshare --user --map-root-user --net -- "$program" "$@" --lo-up`)
	from["by-container"] = inside
	rules, services := preamble, map[string]*target{}
	for name, where := range from {
		path := filepath.Join(t.TempDir(), "socket")
		reachable(t, path)
		services[name] = startTarget(t, leaktest.Where{}, name, "--receive="+path)
		where.Start(t, "--sockets=4", "--outbound=4", "--hand-over="+path)
		rules += rule(name, services[name].exe, everySocket+soft)
	}
	e := enforcing(t, rules)
	for name, service := range services {
		e.awaitSeries(fmt.Sprintf(`closewait_process_sockets{comm=%q,group=%q,pid="%d",state="close_wait"}`, name, name, service.PID), 8)
		e.awaitSeries(decisions(name, "pending"), 10)
		if values := e.scrape(); values[decisions(name, "act")] != 0 || !service.alive() {
			t.Errorf("%s: it was acted on: %v", name, values.about(`rule="`+name+`"}`))
		}
		service.Do("leak 3")
		e.awaitSeries(remediations(name, "terminated"), 1)
	}
}

// TestASocketIsNotEvidenceAgainstAProgramThatAUserHasExecutedWithIt has a program with the
// set-user-ID bit, which runs as root with sockets of the user who has started it.
func TestASocketIsNotEvidenceAgainstAProgramThatAUserHasExecutedWithIt(t *testing.T) {
	where := asUser(t, "starter")
	exe := leakAs(t, "setuid")
	reachable(t, exe)
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	exe = filepath.Join(filepath.Dir(exe), "rootly") // not a link: other tests run the same file
	write(t, exe, string(data))
	if err := os.Chmod(exe, os.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	p := follow(t, where.Start(t, "--outbound=3"), exe)
	p.Do("exec " + exe)
	e := enforcing(t, preamble+rule("rootly", exe, everySocket+soft))
	e.awaitSeries(decisions("rootly", "pending"), 10)
	values := e.scrape()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(status), fmt.Sprintf("\nUid:\t%d\t0\t0\t0\n", unprivileged)) {
		t.Skip("the file system of temporary files ignores the bit (nosuid)")
	}
	if values[decisions("rootly", "act")] != 0 || !p.alive() {
		t.Errorf("it was acted on: %v", values.about(`rule="rootly"}`))
	}
}
