package reapertest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestEvidenceIsThereAfterTheProcessIsGone has a rule that acts, one in dry run, and one whose
// evidence cannot be written.
func TestEvidenceIsThereAfterTheProcessIsGone(t *testing.T) {
	const steps = "steps: [evidence: {}, signal: {name: TERM, wait: 20s}]\n"
	acted := startTarget(t, leaktest.Where{}, "acted", "--outbound=3")
	tried := startTarget(t, leaktest.Where{}, "tried", "--outbound=3")
	dir := filepath.Join(t.TempDir(), "evidence")
	text := preamble + rule("acted", acted.exe, outbound+steps) + rule("tried", tried.exe, "mode: dry_run\n"+outbound+steps)
	e := enforcing(t, text, "--reaper.evidence-dir="+dir)
	e.awaitSeries(remediations("acted", "terminated"), 1)
	e.awaitSeries(`closewait_reaper_actions_total{action="signal",mode="dry_run",rule="tried"}`, 1)
	if acted.alive() || !tried.alive() {
		t.Errorf("alive: %t and %t, want only the one in dry run", acted.alive(), tried.alive())
	}
	for name, pid := range map[string]int{"acted": acted.PID, "tried": tried.PID} {
		files, err := filepath.Glob(filepath.Join(dir, name+"-*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no file, %v", name, err)
		}
		requireEvidence(t, files[0], name, pid)
		if _, page := e.request("GET", "/"); !strings.Contains(page, files[0]) {
			t.Errorf("the page does not name %s", files[0])
		}
		if audit, err := os.ReadFile(e.audit); err != nil || !strings.Contains(string(audit), fmt.Sprintf(`"evidence_files":[%q]`, files[0])) {
			t.Errorf("the audit file does not name %s: %v", files[0], err)
		}
	}

	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // that is what is refused
		t.Fatal(err)
	}
	last := startTarget(t, leaktest.Where{}, "unsaved", "--outbound=3")
	write(t, e.rules, text+rule("unsaved", last.exe, outbound+steps))
	if status, body := e.request("POST", "/-/reload"); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	e.awaitSeries(remediations("unsaved", "terminated"), 1)
	if n := e.scrape()[failures("unsaved", "evidence")]; n != 1 || last.alive() || !strings.Contains(e.log.String(), "chmod go-w") {
		t.Errorf("%v failures, alive: %t; want a failure that the log explains, and the remedy", n, last.alive())
	}
}

// requireEvidence checks the file about a process that leaks three sockets.
func requireEvidence(t *testing.T, file, rule string, pid int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Case struct {
			Rule    string
			Sockets int
		}
		Process   struct{ PID, Sockets int }
		Sockets   []any
		Diagnosis *struct{ Verdict struct{ Kind string } }
		Limits    []any
		Missing   []string
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.Case.Rule != rule || d.Case.Sockets != 3 || d.Process.PID != pid || d.Process.Sockets < 3 || len(d.Sockets) < 3 || info.Mode() != 0o600 {
		t.Errorf("mode %s, %s", info.Mode(), text)
	}
	if len(d.Missing) > 0 { // on a busy machine there is no time for the rest
		t.Logf("%s", d.Missing)
	} else if d.Diagnosis == nil || d.Diagnosis.Verdict.Kind == "" || len(d.Limits) == 0 {
		t.Errorf("mode %s, %s", info.Mode(), text)
	}
}

func TestARuleWithEvidenceIsRefusedWithoutADirectory(t *testing.T) {
	f := newFiles(t, preamble+rule("blank", "/bin/blank", outbound+"steps: [evidence: {}]\n"))
	status, output := command(t, "--reaper.config="+f.rules, "--web.listen-address=127.0.0.1:0")
	if status != 1 || !strings.Contains(output, "rule blank has the step evidence: give --reaper.evidence-dir=DIR") {
		t.Errorf("exit status %d: %s", status, output)
	}
}
