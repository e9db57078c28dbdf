package reapertest

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
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
		{"a merge key", strings.Replace(valid, "{age: 60s,", "{<<: {age: 60s},", 1), 1, "{}:4: rule a: when: merge keys (<<) are not supported"},
		{"warnings beside an error", "protect: {unit: [db]}\n" + strings.Replace(valid, "[signal: {name: TERM}]", "[run: {command: [/nonexistent/guard]}]\n    cooldown: 1", 1), 1,
			"{}:1: warning: protect.unit: \"db\" matches no unit: the whole name of a service is compared, which ends with .service and is no path: write db\\.service\n" +
				"{}:6: warning: rule a: step 1 (run): with --reaper.enforce the rule would be suspended on this host: guard \"/nonexistent/guard\": " +
				"exec: \"/nonexistent/guard\": stat /nonexistent/guard: no such file or directory: install it or correct the path; ignore this if the rules are for another host\n" +
				"{}:7: rule a: cooldown: "},
		{"a user that does not exist", strings.Replace(valid, "{exe: /bin/a}", "{user: no-such-user}", 1), 0,
			"{}:3: warning: rule a: match.user: no user is called no-such-user on this host"},
		{"a user that exists", strings.Replace(valid, "{exe: /bin/a}", "{user: root}", 1), 0,
			"then signal TERM; cooldown 10m0s\n"},
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
	write(t, path, "rules: [")
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
		return strings.Contains(output, "then signal KILL"), output
	})
	for _, want := range []string{
		`(?m)^act: all conditions hold; the rule would run signal TERM, then signal KILL \(rule explained, process ACT "explained"\)$`,
		`(?m)^enough_fds: \d+ of \d+ descriptors open, 90% required \(rule spared, process WAIT "spared"\)$`,
		`(?m)^no match: exe ".*/spared" does not match .*/explained \(rule explained, process WAIT "spared"\)$`,
		`(?m)^  fds: blocks `,
	} {
		if want := strings.NewReplacer("ACT", fmt.Sprint(act.PID), "WAIT", fmt.Sprint(wait.PID)).Replace(want); !regexp.MustCompile(want).MatchString(output) {
			t.Errorf("no line of the output matches %s:\n%s", want, output)
		}
	}
	if status != 0 || !act.alive() || !wait.alive() {
		t.Errorf("status %d; alive: %v and %v", status, act.alive(), wait.alive())
	}
	if status, output := command(t, "explain"); status != 1 || !strings.Contains(output, "--reaper.config") {
		t.Errorf("without rules: status %d:\n%s", status, output)
	}
}
