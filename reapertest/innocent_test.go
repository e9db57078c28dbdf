package reapertest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/reaper/policy"
)

// someUser is a user other than root.
const someUser = 65534

// giveTo makes a user the opener of all sockets of a process, as if that user had handed them over
// (SCM_RIGHTS).
func giveTo(t *testing.T, v *target, user int) {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", v.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", v.PID, entry.Name()))
		if err != nil || !strings.HasPrefix(link, "socket:") {
			continue
		}
		var number int
		if _, err := fmt.Sscan(entry.Name(), &number); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdGetfd(v.pidfd, number, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = unix.Fchown(fd, user, user)
		unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoProcessIsEndedForWhatOthersHaveDone: a server that has closed its listener has opened none
// of its connections, and a service of root must not be ended for sockets that a user has handed
// to it.
func TestNoProcessIsEndedForWhatOthersHaveDone(t *testing.T) {
	anyDirection := strings.Replace(outbound, ", direction: "+opened(), "", 1)
	cases := []struct {
		name, rule, flags string
		prepare           func(*target)
		lives             bool
	}{
		{"drained", "when: {sockets: 2, age: 1s, direction: outbound}\n" + anyPeer, "--sockets=6", func(v *target) { v.Do("unlisten") }, true},
		{"drained-v6", "when: {sockets: 2, age: 1s, direction: outbound}\n" + anyPeer, "--sockets=6 --listen=[::1]:0", func(v *target) { v.Do("unlisten") }, true},
		{"handed-over", anyDirection, "--sockets=6", func(v *target) { giveTo(t, v, someUser) }, true},
		{"handed-out", outbound, "--outbound=6", func(v *target) { giveTo(t, v, someUser) }, true},
		{"own", anyDirection, fmt.Sprintf("--sockets=6 --drop-uid=%d", someUser), func(*target) {}, false},
		{"before-dropping", anyDirection, fmt.Sprintf("--sockets=6 --drop-uid=%d", someUser), func(v *target) { giveTo(t, v, 0) }, false},
	}
	rules, targets := preamble, map[string]*target{}
	for _, c := range cases {
		v := startTarget(t, leaktest.Where{}, c.name, strings.Fields(c.flags)...)
		c.prepare(v)
		targets[c.name] = v
		rules += rule(c.name, v.exe, c.rule+soft)
	}
	e := enforcing(t, rules)
	for _, c := range cases {
		if !c.lives {
			e.awaitSeries(remediations(c.name, "terminated"), 1)
		}
	}
	e.awaitRounds(10) // time for actions that must not be taken
	values := e.scrape()
	for _, c := range cases {
		pending := values[decisions(c.name, "pending")] > 0
		if alive := targets[c.name].alive(); alive != c.lives || c.lives && !pending {
			t.Errorf("%s: alive is %v, want %v: %v", c.name, alive, c.lives, values.about(`rule="`+c.name+`"}`))
		}
	}
}

// TestALeakThatIsKeptFromARemedyIsPublished: for how long, and by what.
func TestALeakThatIsKeptFromARemedyIsPublished(t *testing.T) {
	blocked := func(rule, by string) string {
		return fmt.Sprintf(`closewait_reaper_blocked_seconds{by=%q,rule=%q}`, by, rule)
	}
	protected := startTarget(t, leaktest.Where{}, "kept", "--outbound=3")
	hidden := startTarget(t, leaktest.Where{}, "hidden", "--outbound=3")
	fine := startTarget(t, leaktest.Where{}, "fine", "--outbound=1")
	text := fmt.Sprintf("protect: {exe: ['%s']}\n", regexp.QuoteMeta(protected.exe)) + preamble +
		rule("kept", protected.exe, outbound+soft) +
		rule("hidden", hidden.exe, "when: {sockets: 2, age: 1s, direction: outbound}\n"+anyPeer+soft) +
		rule("fine", fine.exe, outbound+soft)
	e := enforcing(t, text, "--collector.scanner=procfs") // which does not see who has opened a socket
	e.awaitSeries(blocked("hidden", "unknown_direction"), 1)
	e.close()
	e = e.files.start(t, "--reaper.enforce")
	e.awaitSeries(blocked("kept", "protected"), 1)
	values := e.scrape()
	for _, by := range policy.Blockers() {
		value, exists := values[blocked("fine", string(by))]
		if !exists || value != 0 {
			t.Errorf("a process without a leak is blocked by %s: %v (there: %v)", by, value, exists)
		}
	}
	protected.Do("close 3")
	await(t, func() (bool, string) {
		seconds := e.scrape()[blocked("kept", "protected")]
		return seconds == 0, fmt.Sprintf("blocked for %v s without a leak", seconds)
	})
}
