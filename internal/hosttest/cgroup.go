package hosttest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// MakeCgroup makes the control group with the given path in the hierarchy of the service manager,
// and returns a function that moves a process there. The groups that were missing are removed when
// the test ends: start the process after the call, so that it has ended by then. The test is
// skipped where that is not possible, or where this process is not in the root group, so that the
// path would not be as on a host.
func MakeCgroup(t testing.TB, path string) (join func(pid int)) {
	t.Helper()
	group := cgroupMount(t)
	for name := range strings.SplitSeq(path, "/") {
		group = filepath.Join(group, name)
		made := group
		switch err := os.Mkdir(made, 0o755); {
		case err == nil:
			t.Cleanup(func() { _ = os.Remove(made) }) // fails if another test has made groups below
		case !os.IsExist(err):
			t.Skip(err)
		}
	}
	return func(pid int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			t.Skip(err)
		}
	}
}

func cgroupMount(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	for _, mount := range []struct{ hierarchy, dir string }{{":name=systemd:/", "/sys/fs/cgroup/systemd"}, {"0::/", "/sys/fs/cgroup"}} {
		if _, err := os.Stat(filepath.Join(mount.dir, "cgroup.procs")); err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if strings.HasSuffix(strings.TrimSuffix(line, "\n"), mount.hierarchy) {
				return mount.dir
			}
		}
	}
	t.Skip("no control groups, or not in the root group")
	return ""
}
