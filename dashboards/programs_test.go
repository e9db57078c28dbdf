package dashboards

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a program may take to listen.
const patience = 30 * time.Second

// buildExporter returns a program that every user may run.
func buildExporter(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dashboards")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "closewait_exporter")
	build := exec.Command("go", "build", "-o", program, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the exporter: %v\n%s", err, out)
	}
	return program
}

// rules has one that only says what it would do, one that is denied by its guard, and one that acts.
const rules = `
interval: 500ms
limits: {actions: 20, per: 1m}
rules:
  - name: watched
    match: {command: .*--comm=growing.*}
    when: &old {sockets: 2, age: 2s}
    steps: &end [signal: {name: TERM}]
    accept_remote_trigger: true
  - name: guarded
    mode: enforce
    match: {command: .*--comm=guarded.*}
    when: *old
    steps: [run: {command: [/bin/false]}, signal: {name: TERM}]
  - name: ended
    mode: enforce
    match: {command: .*--comm=ending.*}
    when: *old
    steps: *end
    accept_remote_trigger: true
`

// startExporters starts one with all rights and a reaper, and one without any, which cannot tell who
// owns what. It returns their addresses.
func startExporters(t *testing.T) []string {
	t.Helper()
	program, dir := buildExporter(t), t.TempDir()
	file := filepath.Join(dir, "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	acts := exec.Command(program, "--web.listen-address=127.0.0.1:0", "--reaper.config="+file, "--reaper.enforce",
		"--reaper.state-file="+filepath.Join(dir, "state.json"), "--reaper.audit-file="+filepath.Join(dir, "audit.jsonl"))
	blind := exec.Command(program, "--web.listen-address=127.0.0.1:0")
	blind.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return []string{start(t, acts), start(t, blind)}
}

// startPrometheus starts one that scrapes exporters each second. It skips the test where there is no
// Prometheus.
func startPrometheus(t *testing.T) *server {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skipf("needs prometheus (Debian package prometheus): %v", err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := "global: {scrape_interval: 1s, scrape_timeout: 1s}\n" +
		"scrape_configs: [{job_name: closewait, static_configs: [{targets: ['" + strings.Join(startExporters(t), "', '") + "']}]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := start(t, exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0"))
	return &server{address, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}}
}

var listening = regexp.MustCompile(`msg="Listening on".* address=(\S+)`)

// start runs a program until the test ends, and returns the address that it says it listens on.
func start(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-drained
		_ = command.Wait()
	})
	deadline := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
	defer deadline.Stop()
	var said strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			go func() { defer close(drained); _, _ = io.Copy(io.Discard, stderr) }()
			return found[1]
		}
		said.WriteString(lines.Text() + "\n")
	}
	close(drained)
	t.Fatalf("%s does not listen:\n%s", command.Path, said.String())
	return ""
}
