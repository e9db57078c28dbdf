package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
)

// remembering returns a history of a process that leaks one socket a second, until now.
func remembering(now time.Time) (h *history.History, id closewait.ProcessID) {
	h, id = history.New(), closewait.ProcessID{PID: 7, Start: 70}
	for second := range 60 {
		holder := &closewait.Holder{Process: closewait.Process{ID: id, Comm: "leak", FDsKnown: true, OpenFDs: uint64(100 + second), MaxFDs: 1000}}
		holder.Ended.Sockets = make([]*closewait.Socket, second)
		h.Add(&closewait.View{Taken: now.Add(time.Duration(second-59) * time.Second), Holders: []*closewait.Holder{holder}})
	}
	return h, id
}

func testHistoryFile(path string) (*historyFile, *bytes.Buffer) {
	var out bytes.Buffer
	started := time.Now()
	boot := func() (closewait.Boot, error) {
		return closewait.Boot{ID: "b00t", Uptime: time.Hour + time.Since(started)}, nil
	}
	return newHistoryFile(path, boot, log.NewLogfmtLogger(log.NewSyncWriter(&out))), &out
}

func TestTheHistoryOutlivesTheProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "history.json")
		f, out := testHistoryFile(path)
		h, id := remembering(time.Now())
		life, end := context.WithCancel(t.Context())
		kept := make(chan struct{})
		go func() { f.keep(life, h); close(kept) }()
		time.Sleep(historyInterval - time.Second)
		if _, err := os.Stat(path); err == nil {
			t.Error("the file is there too early")
		}
		time.Sleep(2 * time.Second)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("after a crash the file would be %v, %v", info, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		h.Add(&closewait.View{Taken: time.Now()})
		end()
		<-kept
		again := f.load(time.Now())
		if got := again.Process(id); got != h.Process(id) || got.Sockets.Over == 0 {
			t.Errorf("after a restart the trend is %+v, before it was %+v", got, h.Process(id))
		}
		if out.Len() > 0 {
			t.Error(out.String())
		}
	})
}

func TestAHistoryFileThatCannotBeUsedIsKeptAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.json")
	if err := os.WriteFile(path, []byte(`{"checksum":1,"history":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	f, out := testHistoryFile(path)
	h := f.load(time.Now())
	if !h.LastView().IsZero() || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "starting with an empty history") {
		t.Errorf("a history until %s, and the log\n%s", h.LastView(), out)
	}
	filled, _ := remembering(time.Now())
	f.save(filled)
	if kept, err := os.ReadFile(path + ".unusable"); err != nil || !strings.Contains(string(kept), `"checksum":1,`) {
		t.Errorf("the damaged file is %q, %v", kept, err)
	}
	if got := f.load(time.Now()).LastView(); got.IsZero() {
		t.Error("the file was not written again")
	}
}

func TestAFailedWriteIsLoggedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	f, out := testHistoryFile(filepath.Join(dir, "history.json"))
	h, _ := remembering(time.Now())
	f.save(h)
	f.save(h)
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "--history.file") {
		t.Errorf("the log is\n%s", got)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f.save(h)
	f.save(h)
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "written again") {
		t.Errorf("the log is\n%s", got)
	}
	f.boot = func() (closewait.Boot, error) { return closewait.Boot{}, errors.New("no /proc") }
	if f.load(time.Now()); !strings.Contains(out.String(), "no /proc") {
		t.Errorf("the log is\n%s", out)
	}
}

func TestTheHistoryFileIsInTheStateDirectory(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/var/lib/closewait:/var/lib/other")
	if got := historyPath(""); got != "/var/lib/closewait/history.json" {
		t.Error(got)
	}
	if got := historyPath("/srv/h"); got != "/srv/h" {
		t.Error(got)
	}
	t.Setenv("STATE_DIRECTORY", "")
	if got := historyPath(""); got != "" {
		t.Error(got)
	}
}
