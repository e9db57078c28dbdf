package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"closewait_exporter/closewait"
	"closewait_exporter/evidence"
	"closewait_exporter/history"
	"closewait_exporter/internal/leaktest"
	kernelhost "closewait_exporter/kernel/host"
	"closewait_exporter/kernel/inspect"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
	"closewait_exporter/report"
)

// writerTo returns a writer to a directory, in which it waits for wait before each use.
func writerTo(t *testing.T, wait func()) (*evidenceWriter, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "evidence")
	opened := false
	store, err := evidence.Open(dir, func(string) error {
		if opened {
			wait()
		}
		opened = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	inspect := func(context.Context, closewait.ProcessID) (*report.Evidence, error) {
		return &report.Evidence{Report: &report.Report{View: &closewait.View{}}, Holder: &closewait.Holder{}}, nil
	}
	return &evidenceWriter{inspect, store, &kernelhost.BoundedCalls{MaxBlocked: maxHanging, Timeout: step.EvidenceTime}}, dir
}

var someCase = closewait.EvidenceCase{ID: "web-1-a", Record: []byte(`{"id":"web-1-a"}`)}

func TestEvidenceOfACaseIsWritten(t *testing.T) {
	w, dir := writerTo(t, func() {})
	file, err := w.write(t.Context(), someCase)
	if err != nil || file != filepath.Join(dir, "web-1-a.json") {
		t.Fatalf("%s, %v", file, err)
	}
	var document struct{ Case struct{ ID string } }
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &document); err != nil || document.Case.ID != "web-1-a" {
		t.Errorf("%v in %s", err, data)
	}
}

// TestADiskThatHangsIsNotWaitedFor has calls that would hang for ever if they waited.
func TestADiskThatHangsIsNotWaitedFor(t *testing.T) {
	release := make(chan struct{})
	w, dir := writerTo(t, func() { <-release })
	w.writes.Timeout = time.Hour
	late, cancel := context.WithCancelCause(t.Context())
	cancel(closewait.ErrEvidenceLate)
	for i := range maxHanging + 3 {
		ctx := late
		if i >= maxHanging { // while others hang, it does not even begin
			ctx = t.Context()
		}
		file, err := w.write(ctx, someCase)
		if !errors.Is(err, closewait.ErrEvidenceLate) || !strings.Contains(err.Error(), "--reaper.evidence-dir") {
			t.Errorf("call %d: %s, %v", i, file, err)
		}
	}
	close(release)
	leaktest.Eventually(t, time.Minute, func() (bool, string) {
		files, err := os.ReadDir(dir)
		return len(files) == maxHanging, fmt.Sprintf("%d files, %v: writes that were abandoned still end", len(files), err)
	})
	leaktest.Eventually(t, time.Minute, func() (bool, string) {
		_, err := w.write(t.Context(), someCase)
		return err == nil, fmt.Sprintf("after the disk answers again: %v", err)
	})
}

// TestEvidenceIsWrittenWithoutWhatHangs has a host on which no inspection ends.
func TestEvidenceIsWrittenWithoutWhatHangs(t *testing.T) {
	proc, err := kernelhost.Open(kernelhost.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	h := &host{proc: proc, inspections: &kernelhost.BoundedCalls{}} // refuses every call
	self, err := inspect.Find(proc, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	e, err := h.evidence(t.Context(), &closewait.View{}, self, history.New())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := e.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var document struct {
		Process struct {
			PID int
			Exe string
		}
		Missing []string
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	d := document
	if d.Process.PID != os.Getpid() || d.Process.Exe == "" || len(d.Missing) != 2 || !strings.Contains(d.Missing[0], "does not answer") {
		t.Errorf("%s", &out)
	}
}

// TestThereIsNoEvidenceAboutAnotherProcessWithTheSamePID has a process that has ended. Its pid is
// given to another process.
func TestThereIsNoEvidenceAboutAnotherProcessWithTheSamePID(t *testing.T) {
	proc, err := kernelhost.Open(kernelhost.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	h := &host{proc: proc, inspections: &kernelhost.BoundedCalls{}}
	id, err := inspect.Find(proc, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	id.Start--
	if e, err := h.evidence(t.Context(), &closewait.View{}, id, history.New()); !errors.Is(err, closewait.ErrGone) || !strings.Contains(err.Error(), "belongs to another process now") {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestEvidenceThatIsTooOldIsRemovedWhileNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		store, err := evidence.Open(dir, func(string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		put := func(name string) {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, time.Now(), time.Now())); err != nil {
				t.Fatal(err)
			}
		}
		put("web-1-a.json")
		put(".closewait-evidence-LEFTBEHIND")
		there := func(name string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return !errors.Is(err, fs.ErrNotExist)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			sweepEvidence(ctx, store, log.NewNopLogger())
		}()
		synctest.Wait()
		if there(".closewait-evidence-LEFTBEHIND") || !there("web-1-a.json") {
			t.Error("a start removes what a crash has left unfinished, and nothing else")
		}
		time.Sleep(evidence.MaxAge - time.Hour)
		if !there("web-1-a.json") {
			t.Error("it is removed too early")
		}
		time.Sleep(2*time.Hour + time.Minute)
		if there("web-1-a.json") {
			t.Error("it is never removed")
		}
		cancel()
		<-done
	})
}

func TestADirectoryForEvidenceNeedsRules(t *testing.T) {
	_, _, err := parse([]string{"--reaper.evidence-dir=evidence"}, io.Discard)
	if err == nil || err.Error() != "--reaper.evidence-dir needs rules: give --reaper.config=FILE too" {
		t.Errorf("error is %v", err)
	}
}

func TestRulesWithEvidenceNeedADirectory(t *testing.T) {
	config := &rules.Config{Rules: []rules.Rule{{Name: "mild", Steps: []step.Step{step.Destroy{}}}, {Name: "web", Steps: []step.Step{step.Run{}, step.Evidence{}}}}}
	if err := requireEvidenceDir(config, ""); err == nil || !strings.Contains(err.Error(), "rule web") || !strings.Contains(err.Error(), "--reaper.evidence-dir=DIR") {
		t.Errorf("error is %v", err)
	}
	if err := requireEvidenceDir(config, "/evidence"); err != nil {
		t.Error(err)
	}
	config.Rules = config.Rules[:1]
	if err := requireEvidenceDir(config, ""); err != nil {
		t.Error(err)
	}
}
