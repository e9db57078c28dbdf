package e2e

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/internal/leaktest"
)

// TestPeekShowsWhatIsUnreadAndLeavesItThere has a server that reads nothing until the end.
func TestPeekShowsWhatIsUnreadAndLeavesItThere(t *testing.T) {
	leaktest.RequireRoot(t)
	p := startForeign(t, "python3", "testdata/python/unread.py")
	const request = "GET /search?q=secret HTTP/1.1\r\nAuthorization: Basic secret\r\n\r\n"
	sent := 0
	for range 3 {
		c := dial(t, p.port, request)
		must(t, c.CloseWrite())
		sent += len(request)
	}
	open := dial(t, p.port, "\x1b[2Jsecret\r\n")
	sent += len("\x1b[2Jsecret\r\n")
	want := []unreadLine{{3, "ended", "GET /search... HTTP/1.1"}, {1, "open", fmt.Sprintf("binary data, %d bytes", sent-3*len(request))}}
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		d := diagnosed(t, "--peek", strconv.Itoa(p.pid))
		return len(d.Unread) == 2, fmt.Sprintf("%+v", d)
	})
	for range 3 {
		if diff := cmp.Diff(want, diagnosed(t, "--peek", strconv.Itoa(p.pid)).Unread); diff != "" {
			t.Errorf("unread lines (-want +got):\n%s", diff)
		}
	}
	if d := diagnosed(t, strconv.Itoa(p.pid)); d.Unread != nil {
		t.Errorf("without --peek: %+v", d.Unread)
	}
	text, _ := exec.Command(program(t), "diagnose", "--peek", strconv.Itoa(p.pid)).Output() // exit status 2: a verdict
	if !strings.Contains(string(text), "UNREAD    - 3 ended: GET /search... HTTP/1.1\n") || strings.Contains(string(text), "secret") {
		t.Errorf("%s", text)
	}
	must(t, open.CloseWrite())
	if read := p.ask(t, "read"); read[0] != int64(sent) {
		t.Errorf("the server has read %d bytes, want %d", read[0], sent)
	}
}
