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
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// maxWait bounds the wait for what takes seconds on an idle machine.
const maxWait = time.Minute

// files are the files of an exporter, which survive restarts.
type files struct{ rules, state, audit string }

func newFiles(t *testing.T, rules string) files {
	t.Helper()
	dir := t.TempDir()
	f := files{filepath.Join(dir, "rules.yml"), filepath.Join(dir, "state.json"), filepath.Join(dir, "audit.jsonl")}
	write(t, f.rules, rules)
	return f
}

// exporter is a running exporter.
type exporter struct {
	files
	t       *testing.T
	cmd     *exec.Cmd
	address string
	log     *transcript
	ended   bool
}

// enforcing starts an exporter that enforces rules.
func enforcing(t *testing.T, rules string, flags ...string) *exporter {
	t.Helper()
	return newFiles(t, rules).start(t, append([]string{"--reaper.enforce"}, flags...)...)
}

// start starts the exporter and returns when it listens.
func (f files) start(t *testing.T, flags ...string) *exporter {
	t.Helper()
	return f.startIn(t, nil, flags...)
}

// startIn is start for an exporter that another program runs, such as prlimit.
func (f files) startIn(t *testing.T, runner []string, flags ...string) *exporter {
	t.Helper()
	args := []string{"--web.listen-address=127.0.0.1:0", "--web.max-requests=0", "--web.enable-lifecycle", "--log.level=info",
		"--reaper.config=" + f.rules, "--reaper.state-file=" + f.state, "--reaper.audit-file=" + f.audit}
	words := slices.Concat(runner, []string{leaktest.BuildCheckedExporter(t)}, leaktest.WithScanner(append(args, flags...)...))
	e := &exporter{files: f, t: t, cmd: exec.Command(words[0], words[1:]...), log: &transcript{}}
	e.cmd.Stderr = e.log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		e.address = e.log.address()
		return e.address != "", "the exporter does not listen:\n" + e.log.String()
	})
	return e
}

// close ends the exporter as an administrator does, and prints its log if the test has failed.
func (e *exporter) close() {
	if !e.ended {
		_ = e.cmd.Process.Signal(syscall.SIGCONT)
		_ = e.cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(maxWait, func() { _ = e.cmd.Process.Kill() })
		defer kill.Stop()
		if err := e.cmd.Wait(); err != nil {
			e.t.Errorf("end the exporter: %v", err)
		}
		e.ended = true
	}
	for _, bad := range []string{"DATA RACE", "panic:", "goroutine "} {
		if strings.Contains(e.log.String(), bad) {
			e.t.Errorf("the exporter has logged %q", bad)
		}
	}
	if e.t.Failed() {
		e.t.Logf("log of the exporter:\n%s", e.log)
	}
}

// crash kills the exporter.
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

// record is a line of the audit file.
type record struct {
	Time                          time.Time
	ID, Event, Mode, Rule, Reason string
	PID, Target                   int
	Step, Error, Result           string
	Sockets                       int
	Targets                       []struct{ PID int } `json:"targets"`
	ReleasedSockets               int                 `json:"released_sockets"`
}

// records returns the records about a rule, or all records.
func (f files) records(t *testing.T, rule string) []record {
	t.Helper()
	data, err := os.ReadFile(f.audit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var records []record
	for text := range bytes.Lines(data) {
		if !bytes.HasSuffix(text, []byte("\n")) {
			break // it is being written, or the writer was killed
		}
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("audit line %q: %v", text, err)
		}
		if rule == "" || r.Rule == rule {
			records = append(records, r)
		}
	}
	return records
}

// transcript is the log of an exporter.
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

// await waits until the condition holds. Most conditions scrape, which takes 15 ms of CPU time with
// the race detector, and change with a round at most.
func await(t testing.TB, condition func() (done bool, why string)) {
	t.Helper()
	leaktest.EventuallyEvery(t, maxWait, interval, condition)
}
