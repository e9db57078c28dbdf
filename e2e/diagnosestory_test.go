package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// TestTheStoryOfAServerThatCallsItself has a Java server with two threads that fetches a page from
// itself for each page that it serves. Under load both threads wait for each other. That remains
// when the load has gone, and the connections of the clients stay in CLOSE_WAIT. The list, the
// alert, the diagnosis, the evidence and the remedy are about the same process and the same
// sockets.
func TestTheStoryOfAServerThatCallsItself(t *testing.T) {
	if os.Getenv(longVariable) == "" {
		t.Skipf("takes minutes: run it with %s=1", longVariable)
	}
	leaktest.RequireProgram(t, "prometheus")
	leaktest.RequireProgram(t, "javac")
	if !onOwnHost(t) {
		return
	}
	e := serve(t, "--collector.old-age=5s")
	prometheus := promtest.StartPrometheus(t, map[string][]string{"closewait": {e.address}}, rulesForMinutes(t))
	server := startForeignFor(t, 10*time.Minute, "java", javaQuick, "testdata/java/SelfCall.java")
	stop := load(t, server.port)

	t.Log("alert: the leak grows")
	leaktest.EventuallyEvery(t, 5*time.Minute, time.Second, func() (bool, string) {
		firing, err := prometheus.Query(`ALERTS{alertname="ClosewaitLeak",alertstate="firing"}`)
		must(t, err)
		leaked, err := prometheus.Query(fmt.Sprintf(`closewait_process_old_sockets{pid="%d"}`, server.pid))
		must(t, err)
		return len(firing) > 0, fmt.Sprintf("ClosewaitLeak does not fire; old sockets: %v", leaked)
	})
	stop()

	t.Log("list: the leak stays when the load has gone")
	var before int
	leaktest.EventuallyEvery(t, maxWait, 5*time.Second, func() (bool, string) {
		last := before
		before = len(list(t, "--collector.min-age=0s").socketsOf(server.pid))
		return before == last && before > 0, fmt.Sprintf("%d sockets, and %d before", before, last)
	})

	t.Log("diagnose: why")
	d := awaitVerdict(t, server.pid, "waits_for_itself", "2 requests to its own port "+strconv.Itoa(int(server.port)), `2 of 2 threads named "http-exec"`, "jstack")
	if d.Verdict.Confidence != "sure" {
		t.Errorf("confidence %s, want sure", d.Verdict.Confidence)
	}
	var outer, inner int
	for _, u := range diagnosed(t, "--peek", strconv.Itoa(server.pid)).Unread {
		switch {
		case u.Whose == "ended" && u.Line == "GET /outer HTTP/1.1":
			outer = u.Sockets
		case u.Whose == "from_itself" && u.Line == "GET /inner HTTP/1.1":
			inner = u.Sockets
		}
	}
	if inner != 2 || outer == 0 || outer > before {
		t.Errorf("%d requests of clients and %d of itself are unread, want up to %d and 2", outer, inner, before)
	}
	if after := len(list(t, "--collector.min-age=0s").socketsOf(server.pid)); after != before {
		t.Errorf("%d ended sockets after it was diagnosed, %d before", after, before)
	}

	t.Log("remedy: it is ended")
	dir := t.TempDir()
	rules, audit, files := filepath.Join(dir, "rules.yml"), filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "evidence")
	must(t, os.WriteFile(rules, []byte(`interval: 1s
limits: {actions: 1, per: 10m}
rules:
  - name: calls-itself
    mode: enforce
    match: {exe: '.*/bin/java', command: '.*SelfCall.java.*'}
    when: {sockets: 20, age: 5s, for: 3s}
    steps: [evidence: {}, thread_dump: {}, signal: {name: TERM, wait: 20s}]
    cooldown: 10m
    accept_remote_trigger: true
    accept_no_restart: true
`), 0o600))
	reaper := serve(t, "--reaper.config="+rules, "--reaper.enforce", "--reaper.audit-file="+audit,
		"--reaper.state-file="+filepath.Join(dir, "state.json"), "--reaper.evidence-dir="+files)
	leaktest.EventuallyEvery(t, 2*maxWait, time.Second, func() (bool, string) {
		_, metrics := reaper.get("/metrics")
		return strings.Contains(metrics, `closewait_reaper_remediations_total{result="terminated",rule="calls-itself"} 1`), metrics
	})
	records := string(read(t, audit))
	for _, want := range []string{`"thread_dump"`, `"signal`, fmt.Sprintf(`"pid":%d`, server.pid)} {
		if !strings.Contains(records, want) {
			t.Errorf("%s is not in the audit file:\n%s", want, records)
		}
	}
	if left := list(t, "--collector.min-age=0s").socketsOf(server.pid); len(left) > 0 {
		t.Errorf("%d sockets are left", len(left))
	}

	t.Log("evidence: it is there when the process is gone")
	saved, err := filepath.Glob(filepath.Join(files, "calls-itself-*.json"))
	must(t, err)
	if len(saved) != 1 {
		t.Fatalf("files %q, want one", saved)
	}
	var evidence struct {
		Process   struct{ PID, Sockets int }
		Sockets   []any
		Diagnosis diagnosis
		Case      struct{ Rule string }
		Missing   []string
	}
	must(t, json.Unmarshal(read(t, saved[0]), &evidence))
	if e := evidence; e.Process.PID != server.pid || e.Process.Sockets != before || len(e.Sockets) < before || e.Case.Rule != "calls-itself" ||
		e.Diagnosis.Verdict.Kind != "waits_for_itself" || len(e.Diagnosis.Threads) == 0 || len(e.Missing) > 0 {
		t.Errorf("want process %d with %d sockets, which waits for itself: %+v", server.pid, before, e)
	}
	if !strings.Contains(records, fmt.Sprintf(`"evidence_files":[%q]`, saved[0])) {
		t.Errorf("%s is not named in the audit file:\n%s", saved[0], records)
	}
}

// load lets clients request /outer, four at a time, and give up after a moment, until stop is
// called.
func load(t *testing.T, port uint16) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			pace := time.NewTicker(2 * time.Second)
			defer pace.Stop()
			for {
				if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
					_ = c.SetDeadline(time.Now().Add(time.Second))
					if _, err := c.Write([]byte("GET /outer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")); err == nil {
						_, _ = c.Read(make([]byte, 1))
					}
					c.Close()
				}
				select {
				case <-pace.C:
				case <-done:
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { close(done); clients.Wait() })
	t.Cleanup(stop)
	return stop
}
