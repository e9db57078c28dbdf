package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// clone makes a fresh clone of the repository.
func clone(t *testing.T) (dir string) {
	t.Helper()
	leaktest.RequireProgram(t, "git")
	if _, err := os.Stat("../.git"); err != nil {
		t.Skipf("needs a git repository to clone: %v", err)
	}
	dir = filepath.Join(t.TempDir(), "clone")
	if out, err := exec.Command("git", "clone", "--quiet", "..", dir).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	return dir
}

// session is a command at a shell: a process group that Ctrl-C interrupts as one.
type session struct {
	cmd    *exec.Cmd
	output *promtest.Transcript
	ended  chan struct{}
}

// freeAddress is an address on which no process listens at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// startSession runs a command line with a shell.
func startSession(t *testing.T, dir string, env []string, line string) *session {
	t.Helper()
	s := &session{cmd: exec.Command("sh", "-c", line), output: &promtest.Transcript{}, ended: make(chan struct{})}
	s.cmd.Dir, s.cmd.Env = dir, env
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in, err := os.Pipe()
	must(t, err)
	s.cmd.Stdout, s.cmd.Stderr = in, in
	must(t, s.cmd.Start())
	in.Close()
	go func() {
		defer close(s.ended)
		defer out.Close()
		s.output.Record(out, make(chan string)) // until all writers have ended
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // the group that was made above; ESRCH when all have ended
		<-s.ended
	})
	return s
}

// maxLongWait bounds the wait for builds and for alerts.
const maxLongWait = 15 * time.Minute

func awaitPage(t *testing.T, s *session, address, wanted string) {
	t.Helper()
	e := &exporter{t: t, address: address}
	awaitLong(t, s, func() bool {
		status, body, err := e.ask("/metrics")
		return err == nil && status == http.StatusOK && strings.Contains(body, wanted)
	}, wanted)
}

func awaitOutput(t *testing.T, s *session, wanted string) {
	t.Helper()
	awaitLong(t, s, func() bool { return strings.Contains(s.output.String(), wanted) }, wanted)
}

func awaitLong(t *testing.T, s *session, condition func() bool, wanted string) {
	t.Helper()
	leaktest.Eventually(t, maxLongWait, func() (bool, string) {
		if condition() {
			return true, ""
		}
		select {
		case <-s.ended:
			t.Fatalf("it ended without %q:\n%s", wanted, s.output)
		default:
		}
		return false, fmt.Sprintf("no %q:\n%s", wanted, s.output)
	})
}

// interrupt does what Ctrl-C does, and checks that all processes end and that the port is free.
func (s *session) interrupt(t *testing.T, address string) {
	t.Helper()
	group := s.cmd.Process.Pid
	must(t, syscall.Kill(-group, syscall.SIGINT))
	select {
	case <-s.ended:
	case <-time.After(maxWait):
		t.Fatalf("it runs on after Ctrl-C:\n%s", s.output)
	}
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		err := syscall.Kill(-group, 0)
		return err == syscall.ESRCH, fmt.Sprintf("processes of its group are left: %v", err)
	})
	e := &exporter{t: t, address: address}
	if status, _, err := e.ask("/-/healthy"); err == nil {
		t.Errorf("something still answers: status %d", status)
	}
}
