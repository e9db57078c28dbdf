package e2e

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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

// TestAProcessIsNotSlowedByBeingDiagnosed measures the answers of two equal servers at the same
// time. One of them is diagnosed all the while, and its unread data is peeked at.
func TestAProcessIsNotSlowedByBeingDiagnosed(t *testing.T) {
	leaktest.RequireRoot(t)
	var servers [2]foreign
	var connections [2]net.Conn
	for i := range servers {
		servers[i] = startForeign(t, "python3", "testdata/python/echo.py")
		connections[i] = dial(t, servers[i].port, "")
	}
	ended := make(chan error, 1)
	go func() {
		var err error
		for range 3 {
			cmd := exec.Command(program(t), "diagnose", "--peek", "--output=json", strconv.Itoa(servers[0].pid))
			if failed := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 1 {
				err = failed
			}
		}
		ended <- err
	}()
	pause := time.NewTicker(time.Millisecond) // leaves the processors to the others
	defer pause.Stop()
	var took [2][]time.Duration
	for diagnosing := true; diagnosing; {
		for i, c := range connections {
			start := time.Now()
			_, err := c.Write([]byte("x"))
			must(t, err)
			_, err = io.ReadFull(c, make([]byte, 1))
			must(t, err)
			took[i] = append(took[i], time.Since(start))
		}
		select {
		case err := <-ended:
			must(t, err)
			diagnosing = false
		case <-pause.C:
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	n := len(took[0])
	t.Logf("%d answers each: median %v and %v, maximum %v and %v", n, took[0][n/2], took[1][n/2], took[0][n-1], took[1][n-1])
	const times, granularity = 3, time.Millisecond
	if got, want := took[0][n/2], times*took[1][n/2]+granularity; got > want {
		t.Errorf("the median of %d answers is %v, want at most %v: the other server has %v", n, got, want, took[1][n/2])
	}
	// A process that is stopped for a moment answers late, once. The other server and the scheduler
	// say what is normal at the moment.
	const stopped = 100 * time.Millisecond
	late := func(took []time.Duration) (count int) {
		for _, d := range took {
			if d > stopped {
				count++
			}
		}
		return count
	}
	if got, other := late(took[0]), late(took[1]); got > 5*(other+1) {
		t.Errorf("%d of %d answers took more than %v, of the other server %d", got, n, stopped, other)
	}
}
