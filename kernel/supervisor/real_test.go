package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
)

// TestRealSupervisorsAreRecognisedAndRestart has the supervisors of Debian: what they are taken for
// is compared with what they do after KILL.
func TestRealSupervisorsAreRecognisedAndRestart(t *testing.T) {
	leaktest.RequireRoot(t)
	supervisord := func(autorestart string) func(*testing.T) []string {
		return func(t *testing.T) []string {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "supervisord.conf"), fmt.Appendf(nil,
				"[supervisord]\nnodaemon=true\nuser=root\nlogfile=%[1]s/log\npidfile=%[1]s/pid\nchildlogdir=%[1]s\n[program:waits]\ncommand=/bin/sleep infinity\nautorestart=%[2]s\n",
				dir, autorestart), 0o600))
			return []string{"supervisord", "-c", filepath.Join(dir, "supervisord.conf")}
		}
	}
	service := func(program string) func(*testing.T) []string {
		return func(t *testing.T) []string {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\nexec sleep infinity\n"), 0o700))
			return []string{program, dir}
		}
	}
	tests := map[string]struct {
		start     func(*testing.T) []string
		by        closewait.Supervisor
		afterTERM bool
		restarts  bool
	}{
		"runit":                              {service("runsv"), closewait.ByRunit, true, true},
		"s6":                                 {service("s6-supervise"), closewait.ByS6, true, true},
		"supervisord, autorestart":           {supervisord("true"), closewait.BySupervisord, true, true},
		"supervisord, unexpected exits":      {supervisord("unexpected"), closewait.BySupervisord, false, true},
		"supervisord, without a new attempt": {supervisord("false"), closewait.NoSupervisor, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			command := test.start(t)
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skipf("needs %s (scripts/test-deps installs it)", command[0])
			}
			parent := startSupervisor(t, command)
			child := awaitChild(t, parent, 0)
			f := finder(t, closewait.Supervision{}, nil)
			s := f.Of(t.Context(), &closewait.Process{ID: kerneltest.IdentityOf(t, child)})
			if s.By != test.by || (s.WhyDown("TERM") == "") != test.afterTERM || (s.WhyDown("KILL") == "") != test.restarts {
				t.Errorf("%s: %s, %q after TERM, %q after KILL", s.By, s.Text, s.WhyDown("TERM"), s.WhyDown("KILL"))
			}
			must(t, syscall.Kill(child, syscall.SIGKILL))
			if test.restarts {
				awaitChild(t, parent, child)
			}
		})
	}
}

// startSupervisor starts a supervisor, which ends with the test and takes its child along.
func startSupervisor(t *testing.T, command []string) (pid int) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// awaitChild waits for the child that runs sleep, other than one before.
func awaitChild(t *testing.T, parent, before int) (child int) {
	t.Helper()
	leaktest.Eventually(t, 30*time.Second, func() (bool, string) {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
		for _, text := range strings.Fields(string(children)) {
			comm, _ := os.ReadFile("/proc/" + text + "/comm")
			pid, _ := strconv.Atoi(text)
			if state, _ := os.ReadFile("/proc/" + text + "/stat"); string(comm) == "sleep\n" && pid != before && !strings.Contains(string(state), ") Z ") {
				child = pid
				return true, ""
			}
		}
		return false, "children: " + string(children)
	})
	return child
}
