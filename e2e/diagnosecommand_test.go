package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

func TestDiagnoseChoosesTheWorstProcess(t *testing.T) {
	leaktest.RequireRoot(t)
	few := leaktest.Start(t, "--sockets=1", "--comm=diagnosed")
	many := leaktest.Start(t, "--sockets=3", "--comm=diagnosed")
	leaktest.EventuallyEvery(t, maxWait, time.Second, func() (bool, string) {
		d := diagnosed(t, "--group=diagnosed", "--collector.min-age=0s")
		return d.Process.PID == many.PID, fmt.Sprintf("process %d, want %d and not %d", d.Process.PID, many.PID, few.PID)
	})
	if d := diagnosed(t, "--collector.min-age=0s"); d.Process.PID == 0 {
		t.Errorf("%+v, want some listed process", d)
	}
}

// TestDiagnoseSaysWhyItCannot has what people type by mistake, and what happens meanwhile.
func TestDiagnoseSaysWhyItCannot(t *testing.T) {
	leaktest.RequireRoot(t)
	const noUser = 65534
	mine := leaktest.Start(t, "--sockets=1")
	zombie := exec.Command("true")
	must(t, zombie.Start())
	t.Cleanup(func() { _ = zombie.Wait() })
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", zombie.Process.Pid))
		return err == nil && strings.Contains(string(stat), ") Z "), "the process has not ended"
	})
	for _, tt := range []struct {
		name string
		user *syscall.Credential
		args []string
		want string
	}{
		{"no such process", nil, []string{strconv.Itoa(1 << 30)}, "no process has the pid 1073741824"},
		{"no number", nil, []string{"java"}, `pid: "java" is not a whole number of at least 1`},
		{"no pid", nil, []string{"0"}, `pid: "0" is not a whole number of at least 1`},
		{"a zombie", nil, []string{strconv.Itoa(zombie.Process.Pid)}, "is a zombie"},
		{"a group that is not listed", nil, []string{"--group=no-such-group"}, `no process of the group "no-such-group" is listed`},
		{"a pid and a group", nil, []string{"1", "--group=x"}, "give a pid or --group, not both"},
		{"no rights", &syscall.Credential{Uid: noUser, Gid: noUser}, []string{strconv.Itoa(mine.PID)}, "run as root, or with CAP_SYS_PTRACE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			cmd := exec.Command(program(t), append([]string{"diagnose"}, tt.args...)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: tt.user}
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run() // its exit status is checked below
			if status := cmd.ProcessState.ExitCode(); status != 1 || stdout.Len() > 0 {
				t.Errorf("exit status %d, output %q, want 1 and none", status, &stdout)
			}
			if strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("%q, want one line with %q", &stderr, tt.want)
			}
		})
	}
}
