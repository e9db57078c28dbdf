package reapertest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
)

// TestSocketsThatOthersHaveInFlightDoNotKeepTheReaperFromActing: no process holds a socket that was
// sent (SCM_RIGHTS) and not received. Where not every process of the host can be read, as in the
// pid namespace of this test, its owner is unknown, and a user can have any number of them.
func TestSocketsThatOthersHaveInFlightDoNotKeepTheReaperFromActing(t *testing.T) {
	asUser(t, "flood").Start(t, "--sockets=200", "--in-flight")
	leaktest.Where{NetNS: true}.Start(t, "--sockets=200", "--in-flight") // root of a container
	p := startTarget(t, leaktest.Where{}, "flooded", "--outbound=3")
	e := enforcing(t, preamble+rule("flooded", p.exe, outbound+soft))
	e.awaitSeries(remediations("flooded", "terminated"), 1)
	values := e.scrape()
	if values[`closewait_sockets{family="ipv4",owner="unresolved"}`]+values[`closewait_sockets{family="ipv4",owner="kernel"}`] < 200 {
		t.Error("the sockets in flight are not seen, so that this test shows nothing")
	}
}

// TestManyLeakingProcessesHideNoneFromTheReaper: a limit bounds the processes with series, worst
// first, and no user can push others out of the sight of the reaper with it.
func TestManyLeakingProcessesHideNoneFromTheReaper(t *testing.T) {
	crowd := asUser(t, "crowd")
	crowd.StartMany(t, 4, "--sockets=20")
	join := hosttest.MakeCgroup(t, "docker/"+randomHex(64))
	join(leaktest.Where{NetNS: true}.Start(t, "--sockets=20").PID)
	p := startTarget(t, leaktest.Where{}, "hidden", "--outbound=2")
	e := enforcing(t, preamble+rule("hidden", p.exe, outbound+soft), "--collector.max-processes=2")
	e.awaitSeries("closewait_processes_omitted", 3)
	for series := range e.scrape() {
		if strings.HasPrefix(series, "closewait_process_sockets{") && strings.Contains(series, fmt.Sprintf(`pid="%d"`, p.PID)) {
			t.Errorf("the process has series (%s), so that this test shows nothing", series)
		}
	}
	e.awaitSeries(remediations("hidden", "terminated"), 1)
}

// TestNamespacesAndProcessesThatComeAndGoDoNotKeepTheReaperFromActing: some of them end while they
// are scanned.
func TestNamespacesAndProcessesThatComeAndGoDoNotKeepTheReaperFromActing(t *testing.T) {
	leaktest.RequireRoot(t)
	startAsUser(t, "sh", "-c", "while :; do unshare --user --map-root-user --net true; done")
	await(t, func() (bool, string) {
		namespaces, err := filepath.Glob("/proc/[0-9]*/ns/net")
		if err != nil {
			return false, err.Error()
		}
		own, _ := os.Readlink("/proc/self/ns/net")
		return slices.ContainsFunc(namespaces, func(path string) bool {
			other, err := os.Readlink(path)
			return err == nil && other != own
		}), "no other network namespace: a user may not make any here"
	})
	p := startTarget(t, leaktest.Where{}, "steady", "--outbound=3")
	e := enforcing(t, preamble+rule("steady", p.exe, outbound+soft))
	e.awaitSeries(remediations("steady", "terminated"), 1)
}
