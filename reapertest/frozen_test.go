package reapertest

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// freezers are the cgroup hierarchies that can freeze, where systemd and containers mount them.
var freezers = []struct{ name, mount, file, on, off string }{
	{"cgroup v1", "/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"},
	{"cgroup v2", "/sys/fs/cgroup", "cgroup.freeze", "1", "0"},
	{"cgroup v2 beside v1", "/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0"},
}

// freezer puts a process into a cgroup of its own, and returns what freezes and thaws it.
func freezer(t *testing.T, pid int, mount, file, on, off string) (freeze, thaw func()) {
	t.Helper()
	dir := filepath.Join(mount, "closewait-reapertest-"+strconv.Itoa(pid))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("cannot make a cgroup: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) }) // empty only after the end of the process
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		t.Skipf("no freezer is mounted here: %v", err)
	}
	write(t, filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
	t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(dir, file), []byte(off), 0o644)
		_ = os.WriteFile(filepath.Join(mount, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
	})
	return func() { write(t, filepath.Join(dir, file), on) }, func() { write(t, filepath.Join(dir, file), off) }
}

// TestAFrozenServerGetsTimeToClose freezes a server for longer than when.age. When it thaws, it
// closes its sockets, and must not be ended before it had that time.
func TestAFrozenServerGetsTimeToClose(t *testing.T) {
	for _, f := range freezers {
		t.Run(f.name, func(t *testing.T) {
			v := startTarget(t, leaktest.Where{}, "thawed", "--outbound=3")
			freeze, thaw := freezer(t, v.PID, f.mount, f.file, f.on, f.off)
			freeze()
			e := enforcing(t, preamble+rule("thawed", v.exe, "when: {age: 4s, direction: "+opened()+"}\n"+anyPeer+soft))
			e.awaitSeries(decisions("thawed", "stopped"), 15) // 300 ms each
			thaw()
			thawed := time.Now()
			v.Do("close 2")
			e.awaitSeries(decisions("thawed", "pending"), 3)
			if values := e.scrape(); values[decisions("thawed", "act")] != 0 || !v.alive() {
				t.Errorf("it was acted on %v after it was let run again: %v", time.Since(thawed), values.about(decisions("thawed", "act")))
			}
		})
	}
}
