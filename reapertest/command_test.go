package reapertest

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// command runs a command of the exporter that ends by itself.
func command(t *testing.T, args ...string) (status int, output string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), leaktest.BuildCheckedExporter(t), args...).CombinedOutput()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return failed.ExitCode(), string(out)
	} else if err != nil {
		t.Fatal(err)
	}
	return 0, string(out)
}

func TestCheckConfig(t *testing.T) {
	root, err := leaktest.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	const valid = "rules:\n  - name: a\n    match: {exe: /bin/a}\n    when: {age: 60s, fds: 80%}\n    steps: [signal: {name: TERM}]\n"
	files := []struct {
		name, text string
		status     int
		want       string // {} stands for the path
	}{
		{"valid", valid, 0, "{}: valid: 1 rule (a dry_run)"},
		{"an unknown key", strings.Replace(valid, "age:", "agee:", 1), 1, "{}:4: "},
		{"no age", strings.Replace(valid, "age: 60s", "age: 0s", 1), 1, "{}:4: "},
		{"a remote trigger", strings.Replace(valid, ", fds: 80%", "", 1), 1, "accept_remote_trigger"},
		{"a remote trigger of a client", strings.Replace(valid, "fds: 80%", "direction: outbound", 1), 1, "accept_remote_trigger"},
		{"no YAML", "rules: [", 1, "{}:1: "},
	}
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			write(t, path, f.text)
			status, output := command(t, "check-config", path)
			if status != f.status || !strings.Contains(output, strings.ReplaceAll(f.want, "{}", path)) {
				t.Errorf("status %d, want %d with %q:\n%s", status, f.status, f.want, output)
			}
		})
	}
	if status, output := command(t, "check-config", filepath.Join(root, "deploy", "reaper.example.yml")); status != 0 {
		t.Errorf("the example: status %d:\n%s", status, output)
	}
	if status, output := command(t, "check-config", path+".gone"); status != 1 || !strings.Contains(output, "no such file") {
		t.Errorf("a missing file: status %d:\n%s", status, output)
	}
	if status, output := command(t, "--reaper.config="+path); status != 1 || !strings.Contains(output, path+":1: ") {
		t.Errorf("serve with a bad file: status %d:\n%s", status, output)
	}
}

func TestExplainSaysWhatWouldBeDoneAndDoesNothing(t *testing.T) {
	act := startTarget(t, leaktest.Where{}, "explained", "--outbound=3")
	wait := startTarget(t, leaktest.Where{}, "spared", "--sockets=3")
	path := filepath.Join(t.TempDir(), "rules.yml")
	write(t, path, strings.Replace(preamble, "300ms", "2s", 1)+rule("explained", act.exe, outbound+hard)+
		rule("spared", wait.exe, "when: {age: 1s, fds: 90%}\n"+hard))
	var status int
	var output string
	await(t, func() (bool, string) { // in the first second its sockets are too young
		status, output = command(t, "explain", "--reaper.config="+path)
		return strings.Contains(output, "step 2: signal KILL"), output
	})
	for _, want := range []string{
		fmt.Sprintf("process %d (\"explained\", group \"explained\"), rule explained: act: ", act.PID),
		fmt.Sprintf("process %d (\"spared\", group \"spared\"), rule spared: enough_fds: ", wait.PID),
		"step 1: signal TERM",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("the output lacks %q:\n%s", want, output)
		}
	}
	if status != 0 || !act.alive() || !wait.alive() {
		t.Errorf("status %d; alive: %v and %v", status, act.alive(), wait.alive())
	}
	if status, output := command(t, "explain"); status != 1 || !strings.Contains(output, "--reaper.config") {
		t.Errorf("without rules: status %d:\n%s", status, output)
	}
}
