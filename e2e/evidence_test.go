package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// evidenceOf runs the command, and returns its output and its errors.
func evidenceOf(t *testing.T, pid int, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errors strings.Builder
	cmd := exec.Command(program(t), append([]string{"evidence", strconv.Itoa(pid)}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errors
	_ = cmd.Run() // its exit status is returned
	return out.String(), errors.String(), cmd.ProcessState.ExitCode()
}

func TestEvidenceIsSavedByHand(t *testing.T) {
	leaktest.RequireRoot(t)
	p := leaktest.Start(t, "--sockets=3", "--comm=\x1b[31m")
	file := filepath.Join(t.TempDir(), "evidence.json")
	if out, errors, status := evidenceOf(t, p.PID, "-o", file); status != 0 || out+errors != "" {
		t.Fatalf("exit status %d: %s%s", status, out, errors)
	}
	text, err := os.ReadFile(file)
	must(t, err)
	info, err := os.Stat(file)
	must(t, err)
	var document struct {
		Process   struct{ PID, Sockets int }
		Diagnosis struct {
			Verdict struct{ Kind string }
			Threads []any
		}
		Sockets []struct{ State string }
		FDKinds []struct {
			Kind  string
			Count int
		} `json:"fd_kinds"`
		Limits  []any
		Case    any
		Missing []string
	}
	must(t, json.Unmarshal(text, &document))
	d := document
	if d.Process.PID != p.PID || d.Process.Sockets != 3 || len(d.Sockets) < 3 || d.Diagnosis.Verdict.Kind == "" || len(d.Diagnosis.Threads) == 0 ||
		len(d.FDKinds) == 0 || len(d.Limits) == 0 || d.Case != nil || len(d.Missing) > 0 {
		t.Errorf("%s", text)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode is %s", info.Mode())
	}
	if strings.Contains(string(text), "--sockets") || strings.Contains(string(text), "\x1b") {
		t.Errorf("it has the command line of the process, or controls a terminal: %q", text)
	}

	if _, errors, status := evidenceOf(t, p.PID, "-o", file); status != 1 || !strings.Contains(errors, "--force") {
		t.Errorf("a file that exists: exit status %d, %q", status, errors)
	}
	again, err := os.ReadFile(file)
	must(t, err)
	if string(again) != string(text) {
		t.Error("the file has changed")
	}
	if out, errors, status := evidenceOf(t, p.PID, "-o", "-"); status != 0 || errors != "" || !json.Valid([]byte(out)) {
		t.Errorf("to standard output: exit status %d, %s%s", status, out, errors)
	}
	if _, errors, status := evidenceOf(t, 1<<30, "-o", file, "--force"); status != 1 || !strings.Contains(errors, "no process has the pid") {
		t.Errorf("no such process: exit status %d, %q", status, errors)
	}
}

// TestEvidenceOfUnusualProcesses has processes about which less can be read than about others, or
// with fewer rights. What is written is never wrong, and says what is missing.
func TestEvidenceOfUnusualProcesses(t *testing.T) {
	leaktest.RequireRoot(t)
	file := filepath.Join(t.TempDir(), "\x1b[2J\nshop")
	must(t, os.WriteFile(file, read(t, leaktest.Build(t)), 0o755))
	leak := leaktest.Where{Program: file}.Start(t, "--sockets=3", "--unread=none")
	must(t, os.Remove(file))
	awaitVerdict(t, leak.PID, "never_closes")
	inNamespace := leaktest.Where{PIDNS: true}.Start(t, "--sockets=3", "--unread=none")
	awaitVerdict(t, inNamespace.PID, "never_closes")
	unprivileged := []string{leaktest.RequireProgram(t, "setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"}
	for _, tt := range []struct {
		name    string
		runner  []string
		pid     int
		verdict string
		missing string // none if empty
	}{
		{"whose file is deleted", nil, leak.PID, "never_closes", ""},
		{"in another pid namespace", nil, inNamespace.PID, "never_closes", ""},
		{"from another pid namespace", []string{leaktest.RequireProgram(t, "unshare"), "--pid", "--fork"}, leak.PID, "never_closes", ""},
		{"of another user, without privileges", unprivileged, leak.PID, "", "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			command := slices.Concat(tt.runner, []string{program(t), "evidence", strconv.Itoa(tt.pid), "-o", "-"})
			out, err := exec.Command(command[0], command[1:]...).Output()
			must(t, err)
			requireHarmless(t, string(out))
			var document struct {
				Process   struct{ PID int }
				Diagnosis *diagnosis
				Missing   []string
			}
			must(t, json.Unmarshal(out, &document))
			if document.Process.PID != tt.pid {
				t.Errorf("process %d, want %d", document.Process.PID, tt.pid)
			}
			if d := document.Diagnosis; (d == nil) != (tt.verdict == "") || d != nil && d.Verdict.Kind != tt.verdict {
				t.Errorf("%+v, want the verdict %q", d, tt.verdict)
			}
			missing := strings.Join(document.Missing, "\n")
			if (missing == "") != (tt.missing == "") || !strings.Contains(missing, tt.missing) || strings.Contains(missing, "..") {
				t.Errorf("missing is %q, want %q in it", missing, tt.missing)
			}
		})
	}
}
