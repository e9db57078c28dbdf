package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestDiagnoseTellsLoadFromALeak gives a server a fifth of a processor and more work than that.
func TestDiagnoseTellsLoadFromALeak(t *testing.T) {
	leaktest.RequireRoot(t)
	join := limitedCgroup(t)
	p := startForeign(t, "python3", "testdata/python/busy.py")
	join(p.pid)
	for range 8 {
		dial(t, p.port, "hello")
	}
	awaitVerdict(t, p.pid, "overload", "CPU quota", "Accept queue")
}

// limitedCgroup makes a cgroup that gets a fifth of a processor. It is removed when the test ends.
func limitedCgroup(t *testing.T) (join func(pid int)) {
	t.Helper()
	for mount, quota := range map[string][2]string{"/sys/fs/cgroup/cpu": {"cpu.cfs_quota_us", "20000"}, "/sys/fs/cgroup": {"cpu.max", "20000 100000"}} {
		dir := filepath.Join(mount, fmt.Sprintf("closewait-test-%d", os.Getpid()))
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			leaktest.Eventually(t, maxWait, func() (bool, string) { err := os.Remove(dir); return err == nil, fmt.Sprint(err) })
		})
		if err := os.WriteFile(filepath.Join(dir, quota[0]), []byte(quota[1]), 0); err != nil {
			continue
		}
		return func(pid int) {
			must(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0))
		}
	}
	t.Skip("no cgroup with a CPU quota can be made here")
	return nil
}

// TestDiagnoseFindsNothingWrongWithHealthyServers has servers with idle clients.
func TestDiagnoseFindsNothingWrongWithHealthyServers(t *testing.T) {
	leaktest.RequireRoot(t)
	for name, command := range map[string][]string{
		"Python with a thread for each client": {"python3", "testdata/python/threads.py"},
		"Java with a pool":                     {"java", javaQuick, "testdata/java/SelfCall.java"},
		"Node":                                 {"node", "testdata/node/halfopen.js", "healthy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startForeign(t, command...)
			host := "127.0.0.1"
			if strings.HasPrefix(name, "Python") {
				host = "::1"
			}
			connection, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(p.port))))
			must(t, err)
			defer connection.Close()
			awaitVerdict(t, p.pid, "nothing_wrong", "1 listener")
		})
	}
}
