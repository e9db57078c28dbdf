package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// TestCommandsAboutAProcessRefuseWhatIsNone has pids that people give by mistake, for each command
// that takes one.
func TestCommandsAboutAProcessRefuseWhatIsNone(t *testing.T) {
	leaktest.RequireRoot(t)
	zombie := exec.Command("true")
	must(t, zombie.Start())
	t.Cleanup(func() { _ = zombie.Wait() })
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(zombie.Process.Pid) + "/stat")
		return err == nil && strings.Contains(string(stat), ") Z "), "the process has not ended"
	})
	commands := map[string][]string{"diagnose": nil, "evidence": {"-o", filepath.Join(t.TempDir(), "evidence.json")}, "origin": {"--for=1s"}}
	for _, tt := range []struct{ name, pid, want string }{
		{"no such process", strconv.Itoa(1 << 30), "no process has the pid 1073741824"},
		{"no number", "java", `pid: "java" is not a whole number of at least 1`},
		{"no pid", "0", `pid: "0" is not a whole number of at least 1`},
		{"a zombie", strconv.Itoa(zombie.Process.Pid), "is a zombie"},
		{"a thread", aThread(t), "is a thread of process " + strconv.Itoa(os.Getpid())},
		{"a kernel thread", kernelThread(t), "is a kernel thread: it has no descriptors"},
	} {
		for command, args := range commands {
			t.Run(command+" of "+tt.name, func(t *testing.T) {
				if tt.pid == "" {
					t.Skip("no kernel thread is visible here")
				}
				requireError(t, exec.Command(program(t), append([]string{command, tt.pid}, args...)...), tt.want)
			})
		}
	}
	if _, err := os.Stat(commands["evidence"][1]); !os.IsNotExist(err) {
		t.Errorf("a file about no process: %v", err)
	}
}

// requireError runs a command, which must fail with one line that says why.
func requireError(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its exit status is checked below
	if status := cmd.ProcessState.ExitCode(); status != 1 || stdout.Len() > 0 {
		t.Errorf("exit status %d, output %q, want 1 and none", status, &stdout)
	}
	if strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), want) {
		t.Errorf("%q, want one line with %q", &stderr, want)
	}
}

// aThread is the id of a thread of this process that is not its first one.
func aThread(t *testing.T) string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*")
	must(t, err)
	for _, task := range tasks {
		if id := filepath.Base(task); id != strconv.Itoa(os.Getpid()) {
			return id
		}
	}
	t.Fatalf("only the threads %q, thread %d", tasks, unix.Gettid())
	return ""
}

// kernelThread is the pid of kthreadd, or empty where it is not visible.
func kernelThread(t *testing.T) string {
	t.Helper()
	const kthreadd = "2"
	if comm, err := os.ReadFile("/proc/" + kthreadd + "/comm"); err != nil || string(comm) != "kthreadd\n" {
		return ""
	}
	return kthreadd
}
