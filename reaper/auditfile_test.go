package reaper

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

func TestTheRecordsOfARemediationBelongTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, c *remedying) {
		c.rule.Steps = termAndKill
		c.leakFor(alice)
		c.on["signal KILL"] = exits
		c.remedy(t)
		var got []map[string]any
		for _, r := range c.audit.records {
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var fields map[string]any
			if err := json.Unmarshal(line, &fields); err != nil {
				t.Fatal(err)
			}
			delete(fields, "time")
			got = append(got, fields)
		}
		id := "leak-10-" + strings.TrimPrefix(got[0]["id"].(string), "leak-10-")
		common := func(event string, further map[string]any) map[string]any {
			m := map[string]any{"id": id, "event": event, "mode": "enforce", "rule": "leak", "group": "web.service", "pid": 10.0}
			maps.Copy(m, further)
			return m
		}
		socketInfo := func(cookie, age float64) map[string]any {
			return map[string]any{
				"netns": 4026531840.0, "state": "close_wait", "cookie": cookie, "inode": 1000 + cookie, "local": "10.0.0.1:40000", "remote": "192.0.2.1:5432",
				"direction": "outbound", "unread_bytes": 0.0, "age_seconds": age, "quiet_seconds": age,
			}
		}
		want := []map[string]any{
			common("decision", map[string]any{
				"reason": "evidence: 2 of 2 sockets are evidence, 2 required, each at least 1h1m0s old and 1h1m0s quiet, 1m0s required; for: enough evidence for 0s, 0s required; " +
					"fds: 100 of 1000 descriptors open, no minimum set; time_left: no maximum set; peer_share: no limit set; cooldown: none active, 0 relapses; actions left: 3",
				"targets": []any{map[string]any{
					"pid": 10.0, "start": 100.0, "started": "0001-01-01T00:00:00Z", "comm": "alice", "exe": "/usr/bin/server", "user": "www", "unit": "web.service",
					"open_fds": 100.0, "max_fds": 1000.0,
				}},
				"sockets": 2.0, "evidence": []any{socketInfo(1000, 3660), socketInfo(1001, 3660)}, "steps": []any{"signal TERM", "signal KILL"},
			}),
			common("step", map[string]any{"step": "signal TERM", "target": 10.0}),
			common("step", map[string]any{"step": "signal KILL", "target": 10.0}),
			common("end", map[string]any{"reason": "ended after KILL", "result": "killed", "released_sockets": 2.0, "released_fds": 100.0, "step_results": []any{
				map[string]any{"step": "signal TERM", "target": 10.0, "took_seconds": 0.0}, map[string]any{"step": "signal KILL", "target": 10.0, "took_seconds": 0.0},
			}}),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestTheAuditFileCanBeRotatedAndCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.json")
	write := func(id string) {
		t.Helper()
		if err := NewAuditFile(path).Write(Record{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	if err := os.WriteFile(path, []byte(`{"id":"cut sh`), 0o600); err != nil {
		t.Fatal(err)
	}
	write("second")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("third")
	for name, want := range map[string]string{path + ".1": "second", path: "third"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		var r Record
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil || r.ID != want {
			t.Errorf("%s ends with %q (%v), want the record of %s on a line of its own", name, lines[len(lines)-1], err, want)
		}
	}
}

func TestAnAuditFileThatCannotBeWrittenSaysHowToMendIt(t *testing.T) {
	for name, path := range map[string]string{
		"a full disk":       "/dev/full",
		"a directory":       t.TempDir(),
		"no such directory": filepath.Join(t.TempDir(), "none", "audit.json"),
		"no name":           "",
	} {
		if err := NewAuditFile(path).Write(Record{}); err == nil || !strings.Contains(err.Error(), "--reaper.audit-file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAuditFileCanBeAPipe(t *testing.T) {
	if err := NewAuditFile("/dev/null").Write(Record{}); err != nil {
		t.Error(err)
	}
}

// TestConcurrentRecordsShareNoLine has records that are longer than a page: while one is being
// written the file ends in the middle of it, because the kernel extends a file page by page.
func TestConcurrentRecordsShareNoLine(t *testing.T) {
	const writers, each = 4, 100
	path := filepath.Join(t.TempDir(), "audit.json")
	file := NewAuditFile(path)
	reason := strings.Repeat("reason ", 3000)
	var group errgroup.Group
	for writer := range writers {
		group.Go(func() error {
			for range each {
				if err := file.Write(Record{ID: fmt.Sprint(writer), Reason: reason}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(data)) {
		var r Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %d, %.20q...: %v", lines+1, line, err)
		}
		lines++
	}
	if lines != writers*each {
		t.Errorf("%d lines, want %d", lines, writers*each)
	}
}
