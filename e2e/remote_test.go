package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestAPersonAsksARunningExporter asks for what it remembers of a leak, over HTTP and by list, and
// again after a restart of the exporter.
func TestAPersonAsksARunningExporter(t *testing.T) {
	leaktest.RequireRoot(t)
	leak := leaktest.Start(t, "--sockets=7", "--unread=100", "--comm=asked")
	file := "--history.file=" + filepath.Join(t.TempDir(), "history.json")
	e := serve(t, file, "--collector.min-age=0s")
	list := func(args ...string) listing {
		t.Helper()
		out, stderr := listOutput(t, &syscall.SysProcAttr{}, append([]string{"--from=http://" + e.address, "--output=json", fmt.Sprint("--pid=", leak.PID)}, args...)...)
		var l listing
		if err := json.Unmarshal(out, &l); err != nil || stderr != "" {
			t.Fatalf("%v\n%s\n%s", err, out, stderr)
		}
		return l
	}
	known := func() (over float64) {
		leaktest.Eventually(t, maxWait, func() (bool, string) {
			p := list().process(t, leak.PID)
			if p.Sockets != 7 || p.Unread["data"] != 7 || p.Trend == nil {
				t.Fatalf("%+v", p)
			}
			over = p.Trend.OverSeconds
			return over >= 10, fmt.Sprintf("growth is measured over %v s", over)
		})
		return over
	}
	before := known()
	table, _ := listOutput(t, &syscall.SysProcAttr{}, "--from=http://"+e.address)
	if text := string(table); !strings.Contains(text, "asked") || !strings.Contains(text, "LEFT") || strings.Contains(text, "LEFT are known after") {
		t.Errorf("the table is\n%s", text)
	}
	status, body := e.get("/api/v1/processes")
	if status != http.StatusOK || !strings.Contains(body, `"comm": "asked"`) || !strings.Contains(body, `"history": [`) {
		t.Errorf("status %d\n%s", status, body)
	}
	for _, secret := range []string{"--sockets=7", "--unread=100"} { // its arguments
		if strings.Contains(body, secret) {
			t.Errorf("the answer has the argument %s", secret)
		}
	}
	if status, took := e.end(syscall.SIGTERM); status != 0 {
		t.Fatalf("the exporter ended with %d after %s", status, took)
	}
	e = serve(t, file, "--collector.min-age=0s")
	if after := list().process(t, leak.PID).Trend.OverSeconds; after < before {
		t.Errorf("after a restart growth is measured over %v s, before it was %v s", after, before)
	}
}
