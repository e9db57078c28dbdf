package app

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestConnectionsGetHalfOfTheFreeDescriptors(t *testing.T) {
	tests := []struct{ descriptors, open, want int }{
		{1024, 14, 505},
		{256, 16, 120},
		{20, 12, 4},
		{12, 12, 1},
		{10, 12, 1}, // lowered after they were opened
		{math.MaxInt32, 14, 1073741816},
	}
	for _, test := range tests {
		if got := connectionsWithin(test.descriptors, test.open); got != test.want {
			t.Errorf("%d of %d descriptors are open: %d connections, want %d", test.open, test.descriptors, got, test.want)
		}
	}
}

func TestTheMemoryLimitOfTheCgroupIsKept(t *testing.T) {
	const limit, want = 64 << 20, "gomemlimit_bytes=60397977" // 90 %
	command := exec.Command("sh", "-c", "echo $$ > "+memoryCgroup(t, limit)+"/cgroup.procs && exec "+program+" --web.listen-address=127.0.0.1:0")
	e := start(t, command)
	if log := strings.Join(e.log, "\n"); !strings.Contains(log, want) {
		t.Errorf("no %s in the log:\n%s", want, log)
	}
	if status := e.stop(t, syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

// memoryCgroup makes a cgroup with a memory limit, of version 1 or 2, and returns its directory.
func memoryCgroup(t *testing.T, limit int) string {
	t.Helper()
	var failures []error
	for root, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			failures = append(failures, err)
			continue
		}
		dir, err := os.MkdirTemp(root, "closewait-test-")
		if err == nil {
			t.Cleanup(func() {
				if err := os.Remove(dir); err != nil { // its process has ended
					t.Error(err)
				}
			})
			err = os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(limit)), 0)
		}
		if err == nil {
			return dir
		}
		failures = append(failures, err)
	}
	t.Skipf("needs a cgroup with a memory limit: %v", failures)
	return ""
}
