package dashboards

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// rules has a rule in dry run, a rule that nothing starts its process again for, a rule whose guard
// fails, and a rule that acts.
const rules = `
interval: 500ms
limits: {actions: 20, per: 1m}
rules:
  - name: watched
    match: {command: .*--comm=growing.*}
    when: &old {sockets: 2, age: 2s}
    steps: &end [signal: {name: TERM}]
    accept_remote_trigger: true
    accept_no_restart: true
  - name: unsupervised
    mode: enforce
    match: {command: .*--comm=growing.*}
    when: *old
    steps: *end
    accept_remote_trigger: true
  - name: guarded
    mode: enforce
    match: {command: .*--comm=guarded.*}
    when: *old
    steps: [run: {command: [/bin/sleep, "60"], timeout: 100ms}, signal: {name: TERM}]
    accept_no_restart: true
  - name: ended
    mode: enforce
    match: {command: .*--comm=ending.*}
    when: *old
    steps: *end
    accept_remote_trigger: true
    accept_no_restart: true
`

// startExporters starts an exporter with all privileges and a reaper, and an exporter without
// privileges, which cannot find holders. It returns their addresses.
func startExporters(t *testing.T) []string {
	t.Helper()
	program, dir := leaktest.BuildExporter(t), t.TempDir()
	file := filepath.Join(dir, "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	acts := exec.Command(program, "--web.listen-address=127.0.0.1:0", "--reaper.config="+file, "--reaper.enforce",
		"--reaper.state-file="+filepath.Join(dir, "state.json"), "--reaper.audit-file="+filepath.Join(dir, "audit.jsonl"))
	unprivileged := exec.Command(program, "--web.listen-address=127.0.0.1:0")
	unprivileged.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return []string{promtest.Start(t, acts), promtest.Start(t, unprivileged)}
}

// fastRules writes the rules of alerts/, 60 times as fast, to a file.
func fastRules(t *testing.T) string {
	t.Helper()
	sed := exec.Command(leaktest.RequireProgram(t, "sed"), "-E", "-f", "../alerts/scale-60.sed", "../alerts/closewait.rules.yml")
	fast, err := sed.Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fast.rules.yml")
	if err := os.WriteFile(path, fast, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startPrometheus starts a Prometheus that scrapes two exporters and evaluates the alerts.
func startPrometheus(t *testing.T) server {
	t.Helper()
	leaktest.RequireProgram(t, "prometheus") // skip before anything is started
	return server{promtest.StartPrometheus(t, map[string][]string{"closewait": startExporters(t)}, fastRules(t))}
}
