package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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

// TestDiagnoseTellsLoadOfOthersFromALeak has a healthy server that shares a fifth of a processor
// with programs that only compute, and clients that do not wait for its answers.
func TestDiagnoseTellsLoadOfOthersFromALeak(t *testing.T) {
	leaktest.RequireRoot(t)
	leaktest.RequireProgram(t, "stress-ng")
	join := limitedCgroup(t)
	p := startForeign(t, "python3", "testdata/python/echo.py")
	join(p.pid)
	others := exec.Command("sh", "-c", "read start && exec stress-ng --quiet --cpu 4 --timeout 100")
	others.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // stress-ng then ends its children
	start, err := others.StdinPipe()
	must(t, err)
	must(t, others.Start())
	join(others.Process.Pid)
	t.Cleanup(func() { _ = others.Process.Signal(syscall.SIGTERM); _ = others.Wait() })
	_, err = fmt.Fprintln(start, "start")
	must(t, err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for arrivals := time.NewTicker(3 * time.Millisecond); ; {
			select {
			case <-stop:
				arrivals.Stop()
				return
			case <-arrivals.C:
			}
			// A full accept queue would make connect wait.
			if c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", p.port), 100*time.Millisecond); err == nil {
				_, _ = c.Write([]byte("hello"))
				c.Close()
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
	awaitVerdict(t, p.pid, "overload", "CPU quota")
}

// limitedCgroup makes a cgroup that gets a fifth of a processor. It is removed when the test ends.
func limitedCgroup(t *testing.T) (join func(pid int)) {
	t.Helper()
	file, quota, mounts := "cpu.max", "20000 100000", []string{"/sys/fs/cgroup"}
	if _, err := os.Stat("/sys/fs/cgroup/cpu/cgroup.procs"); err == nil {
		file, quota, mounts = "cpu.cfs_quota_us", "20000", []string{"/sys/fs/cgroup/cpu"}
	}
	group := cgroupWith(t, mounts, file)
	must(t, os.WriteFile(filepath.Join(group, file), []byte(quota), 0))
	return func(pid int) {
		must(t, os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0))
	}
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
