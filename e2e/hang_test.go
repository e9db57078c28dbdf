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

// TestAScanThatHangs has the kernel never answer: as a file system does whose server is gone, or a
// process that is stuck in it.
func TestAScanThatHangs(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	l := leaktest.Start(t, "--sockets=3")
	proc := newHangingProc(t, l)
	e := serve(t, "--path.procfs="+proc.dir)

	const timeout = 2 * time.Second
	asked := time.Now()
	status, body := e.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(timeout.Seconds()))
	if took := time.Since(asked); status != http.StatusOK || took >= timeout {
		t.Errorf("status %d after %v, want 200 within %v", status, took, timeout)
	}
	m := parse(t, body)
	if m.one("closewait_scan_success") != 0 {
		t.Error("the scan is said to have succeeded")
	}
	if about := m.all("closewait_sockets"); len(about) > 0 || len(m.all("closewait_process_sockets")) > 0 {
		t.Errorf("sockets are told of that nobody has counted: %v", about)
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
	e.await(func(m metrics) (bool, string) { return m.sockets(l.PID) == 3, "not listed, though the scan goes on" })
	if status, page := e.get("/"); status != http.StatusOK || !strings.Contains(page, fmt.Sprintf(">%d<", l.PID)) {
		t.Errorf("the page answers %d without process %d:\n%s", status, l.PID, page)
	}
	if status, body := e.get("/-/ready"); status != http.StatusOK {
		t.Errorf("ready answers %d %s, want 200 now", status, body)
	}
}

// TestEndsThoughAScanHangs is what systemd needs at every restart, and a person at a shell.
func TestEndsThoughAScanHangs(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	proc := newHangingProc(t, leaktest.Start(t, "--sockets=1"))
	e := serve(t, "--path.procfs="+proc.dir)
	answered := make(chan struct{})
	go func() { defer close(answered); _, _, _ = e.ask("/metrics") }()
	leaktest.Eventually(t, patience, func() (bool, string) {
		_, page := e.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "0.1")
		n := parse(t, page).one("promhttp_metric_handler_requests_in_flight")
		return n == 2, fmt.Sprintf("%v requests in flight, want that of the test and one that waits for the scan", n)
	})
	const most = 10 * time.Second
	if status, took := e.end(syscall.SIGTERM); status != 0 || took > most {
		t.Errorf("exit status %d after %v, want 0 within %v:\n%s", status, took, most, e.log)
	}
	<-answered
}

// TestListIsInterruptedThoughAScanHangs is a person who has waited long enough.
func TestListIsInterruptedThoughAScanHangs(t *testing.T) {
	leaktest.RequireRoot(t)
	t.Parallel()
	proc := newHangingProc(t, leaktest.Start(t, "--sockets=1"))
	cmd := exec.Command(program, "list", "--path.procfs="+proc.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
	must(t, cmd.Start())
	deadline := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()
	awaitHang(t, cmd.Process.Pid)
	must(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(said.String(), "interrupted") {
		t.Errorf("exit status %d and %q, want 1 and that it was interrupted", status, &said)
	}
}

// awaitHang waits until some thread of a process opens a pipe that nobody writes to.
func awaitHang(t *testing.T, pid int) {
	t.Helper()
	leaktest.Eventually(t, patience, func() (bool, string) {
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

// hangingProc is a proc file system with one process, which cannot be looked into: its stat is a pipe
// that nobody writes to.
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
	t.Cleanup(func() { p.answer(t) }) // else whoever waits may hang on
	return p
}

// answer makes everything work again: who waits is answered, and so is who asks anew.
func (p *hangingProc) answer(t *testing.T) {
	t.Helper()
	truth := read(t, "/proc/"+strconv.Itoa(p.pid)+"/stat")
	ready := p.stat + ".new"
	must(t, os.WriteFile(ready, truth, 0o600))
	must(t, os.Rename(ready, p.stat))
	pipe, err := os.OpenFile(p.pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return // nobody waits
	}
	defer pipe.Close()
	_, err = pipe.Write(truth)
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
