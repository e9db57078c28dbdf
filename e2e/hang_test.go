package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestAScanThatHangs scans a /proc in which a read blocks, as it does when the server of a file
// system is gone or a process is stuck in the kernel.
func TestAScanThatHangs(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	l := leaktest.Start(t, "--sockets=3")
	proc := newHangingProc(t, l)
	e := serve(t, "--path.procfs="+proc.dir)

	const timeout, slack = 2 * time.Second, 10 * time.Second
	var body string
	leaktest.Eventually(t, maxWait, func() (bool, string) { // a loaded machine may delay an answer, but not each time
		asked := time.Now()
		var status int
		status, body = e.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(timeout.Seconds()))
		took := time.Since(asked)
		if status != http.StatusOK || took >= timeout+slack {
			t.Fatalf("status %d after %v, want 200 within %v", status, took, timeout)
		}
		return took < timeout, fmt.Sprintf("answered after %v, want within %v", took, timeout)
	})
	m := parse(t, body)
	if m.one("closewait_scan_success") != 0 {
		t.Error("the scan is reported as successful")
	}
	if sockets := m.all("closewait_sockets"); len(sockets) > 0 || len(m.all("closewait_process_sockets")) > 0 {
		t.Errorf("there are sockets that no scan has counted: %v", sockets)
	}
	if status, page := e.get("/"); status != http.StatusServiceUnavailable || !strings.Contains(page, "takes longer than this page waits") {
		t.Errorf("the page answers %d, want 503 and why:\n%s", status, page)
	}
	if status, _ := e.get("/-/healthy"); status != http.StatusOK {
		t.Errorf("healthy answers %d, want 200", status)
	}
	if status, _ := e.get("/-/ready"); status != http.StatusServiceUnavailable {
		t.Errorf("ready answers %d, want 503", status)
	}

	proc.answer(t)
	e.await(func(m metrics) (bool, string) {
		return m.sockets(l.PID) == 3, "not listed, although the scan can continue"
	})
	if status, page := e.get("/"); status != http.StatusOK || !strings.Contains(page, fmt.Sprintf(">%d<", l.PID)) {
		t.Errorf("the page answers %d without process %d:\n%s", status, l.PID, page)
	}
	if status, body := e.get("/-/ready"); status != http.StatusOK {
		t.Errorf("ready answers %d %s, want 200 now", status, body)
	}
}

// TestEndsThoughAScanHangs is what systemd needs at a restart, and a person at a shell.
func TestEndsThoughAScanHangs(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	proc := newHangingProc(t, leaktest.Start(t, "--sockets=1"))
	e := serve(t, "--path.procfs="+proc.dir)
	answered := make(chan struct{})
	go func() { defer close(answered); _, _, _ = e.ask("/metrics") }()
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		_, page := e.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "0.1")
		n := parse(t, page).one("promhttp_metric_handler_requests_in_flight")
		return n == 2, fmt.Sprintf("%v requests in flight, want this one and one that waits for the scan", n)
	})
	const most = 10 * time.Second
	if status, took := e.end(syscall.SIGTERM); status != 0 || took > most {
		t.Errorf("exit status %d after %v, want 0 within %v:\n%s", status, took, most, e.log)
	}
	<-answered
}

// TestListIsInterruptedThoughAScanHangs presses Ctrl-C while list hangs.
func TestListIsInterruptedThoughAScanHangs(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	proc := newHangingProc(t, leaktest.Start(t, "--sockets=1"))
	cmd := exec.Command(program(t), "list", "--path.procfs="+proc.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(t, cmd.Start())
	deadline := time.AfterFunc(maxWait, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()
	awaitHang(t, cmd.Process.Pid)
	must(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit status %d and %q, want 1 and that it was interrupted", status, &stderr)
	}
}

// awaitHang waits until a thread of the process blocks in the opening of a pipe without a writer.
func awaitHang(t *testing.T, pid int) {
	t.Helper()
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		places, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid))
		must(t, err)
		for _, place := range places {
			if where, _ := os.ReadFile(place); string(where) == "wait_for_partner" { // fs/pipe.c
				return true, ""
			}
		}
		return false, fmt.Sprintf("none of %d threads hangs", len(places))
	})
}

// hangingProc is a proc file system with one process, whose stat is a pipe without a writer:
// reading it blocks.
type hangingProc struct {
	dir, stat, pipe string
	pid             int
}

func newHangingProc(t *testing.T, l *leaktest.Leak) *hangingProc {
	t.Helper()
	p := &hangingProc{dir: t.TempDir(), pid: l.PID}
	process := filepath.Join(p.dir, strconv.Itoa(l.PID))
	p.stat, p.pipe = filepath.Join(process, "stat"), filepath.Join(p.dir, "pipe")
	netns, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(process, "ns"), 0o755))
	must(t, os.MkdirAll(filepath.Join(process, "fd"), 0o755))
	must(t, os.MkdirAll(filepath.Join(process, "task", strconv.Itoa(l.PID)), 0o755))
	must(t, os.Symlink(netns, filepath.Join(process, "ns", "net")))
	for i, s := range l.Sockets {
		must(t, os.Symlink(fmt.Sprintf("socket:[%d]", s.Inode), filepath.Join(process, "fd", strconv.Itoa(i))))
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "stat"), read(t, "/proc/stat"), 0o600))
	must(t, syscall.Mkfifo(p.pipe, 0o600))
	must(t, os.Link(p.pipe, p.stat))
	t.Cleanup(func() { p.answer(t) }) // otherwise a reader may block for ever
	return p
}

// answer makes reads work again: those that are blocked and later ones.
func (p *hangingProc) answer(t *testing.T) {
	t.Helper()
	stat := read(t, "/proc/"+strconv.Itoa(p.pid)+"/stat")
	ready := p.stat + ".new"
	must(t, os.WriteFile(ready, stat, 0o600))
	must(t, os.Rename(ready, p.stat))
	pipe, err := os.OpenFile(p.pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return // no reader is blocked
	}
	defer pipe.Close()
	_, err = pipe.Write(stat)
	must(t, err)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
