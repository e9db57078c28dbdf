package e2e

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
	"unicode"

	"golang.org/x/sys/unix"

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

// TestDiagnoseSaysWhyItCannot has what people type by mistake, beside wrong pids.
func TestDiagnoseSaysWhyItCannot(t *testing.T) {
	leaktest.RequireRoot(t)
	const noUser = 65534
	mine := leaktest.Start(t, "--sockets=1")
	for _, tt := range []struct {
		name string
		user *syscall.Credential
		args []string
		want string
	}{
		{"a group that is not listed", nil, []string{"--group=no-such-group"}, `no process of the group "no-such-group" is listed`},
		{"a pid and a group", nil, []string{"1", "--group=x"}, "give a pid or --group, not both"},
		{"no rights", &syscall.Credential{Uid: noUser, Gid: noUser}, []string{strconv.Itoa(mine.PID)}, "run as root, or with CAP_SYS_PTRACE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(program(t), append([]string{"diagnose"}, tt.args...)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: tt.user}
			requireError(t, cmd, tt.want)
		})
	}
}

// TestDiagnoseOfUnusualPrograms has programs about which less can be read than about others.
func TestDiagnoseOfUnusualPrograms(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Run("for 32-bit processors", func(t *testing.T) {
		t.Parallel()
		small := filepath.Join(t.TempDir(), "small")
		compile(t, "testdata/i386/read.s", small, "-m32", "-nostdlib", "-static")
		if err := exec.Command(small).Run(); err != nil {
			t.Skipf("this kernel does not run programs for 32-bit processors: %v", err)
		}
		p := startForeign(t, "python3", "testdata/python/become.py", small)
		for range 3 {
			dial(t, p.port, "hello").Close()
		}
		d := awaitVerdict(t, p.pid, "never_reads", "3 with data unread", "It holds no listener on port")
		if d.Process.Runtime != "native" || len(d.Threads) != 1 || d.Threads[0].Call != "" || !d.Threads[0].Still {
			t.Errorf("runtime %s, threads %+v, want native, and a thread whose call has no name", d.Process.Runtime, d.Threads)
		}
	})
	t.Run("whose file is deleted", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "shop")
		must(t, os.WriteFile(file, read(t, leaktest.Build(t)), 0o755))
		leak := leaktest.Where{Program: file}.Start(t, "--sockets=3", "--unread=none")
		must(t, os.Remove(file))
		if d := awaitVerdict(t, leak.PID, "never_closes"); d.Process.Runtime != "go" {
			t.Errorf("runtime %s, want go", d.Process.Runtime)
		}
	})
	t.Run("with a hostile name", func(t *testing.T) {
		t.Parallel()
		leak := leaktest.Start(t, "--sockets=3", "--unread=none", `--comm=\x1b[2J\nVERDICT\u202e`)
		awaitVerdict(t, leak.PID, "never_closes")
		text, _ := exec.Command(program(t), "diagnose", strconv.Itoa(leak.PID)).Output() // exit status 2: a verdict
		if strings.ContainsFunc(string(text), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) || strings.Contains(string(text), "\nVERDICT\\") {
			t.Errorf("%q", text)
		}
	})
	t.Run("from another pid namespace", func(t *testing.T) {
		t.Parallel()
		leak := leaktest.Start(t, "--sockets=3", "--unread=none")
		awaitVerdict(t, leak.PID, "never_closes")
		text, _ := exec.Command("unshare", "--pid", "--fork", program(t), "diagnose", "--peek", strconv.Itoa(leak.PID)).Output() // as above
		if !strings.Contains(string(text), "never_closes") {
			t.Errorf("%s", text)
		}
	})
	t.Run("in another pid namespace", func(t *testing.T) {
		t.Parallel()
		leak := leaktest.Where{PIDNS: true}.Start(t, "--sockets=3", "--unread=none")
		awaitVerdict(t, leak.PID, "never_closes")
	})
}

// TestDiagnoseWithFewerPrivileges must not find less than it says.
func TestDiagnoseWithFewerPrivileges(t *testing.T) {
	leaktest.RequireRoot(t)
	leak := leaktest.Start(t, "--sockets=3", "--unread=none")
	awaitVerdict(t, leak.PID, "never_closes")
	for _, tt := range []struct {
		name         string
		capabilities []uintptr
		status       int
		want         string
	}{
		{"none", nil, 1, "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"},
		{"the two of the ebpf scanner", []uintptr{unix.CAP_BPF, unix.CAP_PERFMON}, 2, "Not read: its sockets"},
		{"the two that read processes", []uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}, 2, "VERDICT   never_closes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.capabilities) > 0 && tt.capabilities[0] == unix.CAP_BPF && !sees(t, "unconnected") {
				t.Skip("the ebpf scanner does not work here")
			}
			cmd := exec.Command(program(t), "diagnose", "--collector.min-age=0s", strconv.Itoa(leak.PID))
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: tt.capabilities}
			text, _ := cmd.CombinedOutput() // the exit status is checked below
			words := strings.Join(strings.Fields(string(text)), " ")
			if status := cmd.ProcessState.ExitCode(); status != tt.status || !strings.Contains(words, strings.Join(strings.Fields(tt.want), " ")) {
				t.Errorf("exit status %d, want %d, and %q in\n%s", status, tt.status, tt.want, text)
			}
			if tt.status == 2 && strings.Contains(words, "nothing_wrong") {
				t.Errorf("%s", text)
			}
		})
	}
}
