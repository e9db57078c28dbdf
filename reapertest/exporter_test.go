package reapertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// patience is for how long a test waits for what takes seconds on an idle machine.
const patience = 40 * time.Second

// home is where an exporter keeps its files, over restarts.
type home struct{ rules, state, audit string }

func newHome(t *testing.T, rules string) home {
	t.Helper()
	dir := t.TempDir()
	h := home{filepath.Join(dir, "rules.yml"), filepath.Join(dir, "state.json"), filepath.Join(dir, "audit.jsonl")}
	write(t, h.rules, rules)
	return h
}

// exporter is the program under way.
type exporter struct {
	home
	t       *testing.T
	cmd     *exec.Cmd
	address string
	log     *transcript
	ended   bool
}

// enforcing starts an exporter that acts by rules.
func enforcing(t *testing.T, rules string, flags ...string) *exporter {
	t.Helper()
	return newHome(t, rules).start(t, append([]string{"--reaper.enforce"}, flags...)...)
}

// start runs the exporter and returns when it listens.
func (h home) start(t *testing.T, flags ...string) *exporter {
	t.Helper()
	args := []string{"--web.listen-address=127.0.0.1:0", "--web.max-requests=0", "--web.enable-lifecycle", "--log.level=info",
		"--reaper.config=" + h.rules, "--reaper.state-file=" + h.state, "--reaper.audit-file=" + h.audit}
	e := &exporter{home: h, t: t, cmd: exec.Command(program(t), leaktest.WithScanner(append(args, flags...)...)...), log: &transcript{}}
	e.cmd.Stderr = e.log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	await(t, func() (bool, string) {
		e.address = e.log.address()
		return e.address != "", "the exporter does not listen:\n" + e.log.String()
	})
	return e
}

// close ends the exporter as an administrator does, and tells what it said where the test has failed.
func (e *exporter) close() {
	if !e.ended {
		_ = e.cmd.Process.Signal(syscall.SIGCONT)
		_ = e.cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = e.cmd.Process.Kill() })
		defer kill.Stop()
		if err := e.cmd.Wait(); err != nil {
			e.t.Errorf("the exporter ended badly: %v", err)
		}
		e.ended = true
	}
	for _, bad := range []string{"DATA RACE", "panic:", "goroutine "} {
		if strings.Contains(e.log.String(), bad) {
			e.t.Errorf("the exporter says %q", bad)
		}
	}
	if e.t.Failed() {
		e.t.Logf("the exporter said:\n%s", e.log)
	}
}

// crash ends the exporter without a warning.
func (e *exporter) crash() {
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
	e.ended = true
}

func (e *exporter) signal(s syscall.Signal) {
	e.t.Helper()
	if err := e.cmd.Process.Signal(s); err != nil {
		e.t.Fatal(err)
	}
}

// line is one of the audit file.
type line struct {
	Time                          time.Time
	ID, Event, Mode, Rule, Reason string
	PID, Target                   int
	Step, Error, Result           string
	Sockets                       int
	Victims                       []struct{ PID int } `json:"targets"`
	ReleasedSockets               int                 `json:"released_sockets"`
}

// records are the lines of the audit file about a rule, or all.
func (h home) records(t *testing.T, rule string) []line {
	t.Helper()
	data, err := os.ReadFile(h.audit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var lines []line
	for text := range bytes.Lines(data) {
		if !bytes.HasSuffix(text, []byte("\n")) {
			break // is being written, or was when somebody killed the writer
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("audit line %q: %v", text, err)
		}
		if rule == "" || l.Rule == rule {
			lines = append(lines, l)
		}
	}
	return lines
}

// transcript is what a program says.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func (w *transcript) address() string {
	lines := bufio.NewScanner(strings.NewReader(w.String()))
	for lines.Scan() {
		if _, address, found := strings.Cut(lines.Text(), `msg="Listening on" address=`); found {
			return address
		}
	}
	return ""
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// await asks until the condition holds; why tells what was still missing when time is over.
func await(t testing.TB, condition func() (done bool, why string)) {
	t.Helper()
	leaktest.Eventually(t, patience, condition)
}
