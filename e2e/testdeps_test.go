package e2e

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// fakeDebian replaces the programs of a Debian host that scripts/test-deps calls. apt-get and
// systemctl write what they do to the file log; apt-get also whether services may start.
var fakeDebian = map[string]string{
	"apt-get": `echo "APT $1 $(tail -n 1 "$POLICY_FILE" 2>/dev/null)" | tee -a log
[ "$1" != install ] || { echo "$*" >> log; printf 'installed %s\n' prometheus podman systemd-container half >> packages; }`,
	"dpkg-query": `case $1 in
--show) cat packages; echo "config-files old" ;;
*) cat "files.$2" ;;
esac`,
	"systemctl": `case "$*" in
"--root=/ is-enabled prometheus.service" | "--root=/ is-enabled podman.socket" | "--root=/ is-enabled cron.service" | "--root=/ is-enabled machines.service") echo enabled ;;
"--root=/ is-enabled "*) echo disabled; exit 1 ;;
*) echo "SYSTEMCTL $*" >> log ;;
esac`,
	"id": `echo "${FAKE_ID:-0}"`,
}

var fakeFiles = map[string]string{
	"packages":                "installed cron\n",
	"files.cron":              "/lib/systemd/system/cron.service\n",
	"files.prometheus":        "/usr/bin/promtool\n/lib/systemd/system/prometheus.service\n/etc/default/prometheus\n",
	"files.podman":            "/usr/lib/systemd/system/podman.socket\n/usr/lib/systemd/system/podman.service\n/usr/lib/systemd/system/podman-x@.service\n",
	"files.systemd-container": "/usr/lib/systemd/system/machines.service\n",
	"files.half":              "",
}

// TestTestDepsSaysWhatItInstallsAndLeavesNoServiceEnabled runs scripts/test-deps on a fake host on
// which all is missing that tests need.
func TestTestDepsSaysWhatItInstallsAndLeavesNoServiceEnabled(t *testing.T) {
	t.Parallel()
	const (
		announced = "This installs the Debian packages\n    iproute2"
		installed = "APT update exit 101\nAPT install exit 101\n"
		disabled  = "SYSTEMCTL --root=/ disable podman.socket\nSYSTEMCTL --root=/ disable prometheus.service\n"
	)
	tests := map[string]struct {
		env      []string
		terminal string // what is typed; empty: there is no terminal
		asks     bool
		installs bool
	}{
		"without a terminal it does not ask":        {nil, "", false, true},
		"on a terminal it asks":                     {nil, "y\n", true, true},
		"no is an answer":                           {nil, "n\n", true, false},
		"the default is no":                         {nil, "\n", true, false},
		"CI does not ask":                           {[]string{"CI=true"}, "n\n", false, true},
		"YES=1 does not ask":                        {[]string{"YES=1"}, "n\n", false, true},
		"without root it says what is missing":      {[]string{"FAKE_ID=1000"}, "", false, false},
		"without root it does not ask on terminals": {[]string{"FAKE_ID=1000"}, "y\n", false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := fakeHost(t)
			output := testDeps(t, dir, test.env, test.terminal)
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			if asks := strings.Contains(output, "[y/N]"); asks != test.asks {
				t.Errorf("asks: %t, want %t:\n%s", asks, test.asks, output)
			}
			if !test.installs {
				if len(log) > 0 || !strings.Contains(output, "Tests that need them are skipped") {
					t.Errorf("it did\n%s\nand wrote\n%s", log, output)
				}
				return
			}
			before, _, _ := strings.Cut(output, "APT update")
			if !strings.Contains(before, announced) {
				t.Errorf("it does not say before what it installs:\n%s", output)
			}
			lines := strings.SplitAfter(string(log), "\n")
			if len(lines) < 3 || strings.Join(lines[:2], "") != installed || !strings.Contains(lines[2], " prometheus ") {
				t.Errorf("it did\n%s", log)
			}
			if got := strings.Join(lines[min(3, len(lines)):], ""); got != disabled {
				t.Errorf("afterwards it did\n%s\nwant\n%s", got, disabled)
			}
			if _, err := os.Stat(filepath.Join(dir, "policy")); !os.IsNotExist(err) {
				t.Errorf("the file that keeps services from starting stays: %v", err)
			}
		})
	}
}

func TestTestDepsKeepsThePolicyOfTheHost(t *testing.T) {
	t.Parallel()
	dir := fakeHost(t)
	policy := filepath.Join(dir, "policy")
	must(t, os.WriteFile(policy, []byte("#!/bin/sh\nexit 104\n"), 0o755))
	testDeps(t, dir, nil, "")
	if got := string(read(t, policy)); !strings.HasSuffix(got, "exit 104\n") {
		t.Errorf("the policy is now %q", got)
	}
}

// fakeHost is a directory with the fake programs, and links to the real ones that a shell needs.
func fakeHost(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, program := range []string{"bash", "env", "sh", "cat", "comm", "sort", "sed", "grep", "rm", "chmod", "tail", "tee"} {
		leaktest.RequireProgram(t, program)
		path, err := exec.LookPath(program)
		must(t, err)
		must(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
		must(t, os.Symlink(path, filepath.Join(dir, "bin", program)))
	}
	for program, text := range fakeDebian {
		must(t, os.WriteFile(filepath.Join(dir, "bin", program), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	for name, text := range fakeFiles {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// testDeps runs the script in a fake host, and types an answer if there is one.
func testDeps(t *testing.T, dir string, env []string, typed string) string {
	t.Helper()
	script, err := filepath.Abs("../scripts/test-deps")
	must(t, err)
	command := exec.Command(script)
	command.Dir = dir
	command.Env = append([]string{"PATH=" + filepath.Join(dir, "bin"), "POLICY_FILE=" + filepath.Join(dir, "policy")}, env...)
	if typed == "" {
		output, err := command.CombinedOutput()
		must(t, err)
		return string(output)
	}
	user, terminal := openTerminal(t, 80)
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	must(t, command.Start())
	terminal.Close()
	_, err = io.WriteString(user, typed)
	must(t, err)
	output, _ := io.ReadAll(user) // ends with EIO when the script has ended
	must(t, command.Wait())
	return strings.ReplaceAll(string(output), "\r\n", "\n")
}
