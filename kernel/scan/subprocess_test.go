package scan_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// subprocess is a process that answers requests. It ends with the test.
type subprocess struct {
	t         testing.TB
	process   *os.Process
	requests  *json.Encoder
	responses *bufio.Scanner
	stop      func() // and wait for its end
}

// startScanService starts this test binary as a scan service: with other rights, or behind a
// command such as strace.
func startScanService(t testing.TB, attr *syscall.SysProcAttr, behind ...string) *subprocess {
	t.Helper()
	return startRole(t, scanRole, attr, behind...)
}

// startRole starts this test binary in a role that answers requests.
func startRole(t testing.TB, role string, attr *syscall.SysProcAttr, behind ...string) *subprocess {
	t.Helper()
	// Not by its path, which only root can reach.
	command := append(behind, "/proc/self/exe")
	if len(behind) > 0 {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		command[len(command)-1] = self
	}
	cmd := exec.Command(command[0], command[1:]...)
	// The race detector would wait for a second at the end.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = attr
	stderr := new(strings.Builder)
	cmd.Stderr = stderr
	cmd.WaitDelay = timeout
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("run %v again: %v", command, err)
	}
	stop := sync.OnceFunc(func() {
		in.Close() // the end of its requests
		kill := time.AfterFunc(timeout, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", role, err, stderr)
		}
	})
	t.Cleanup(stop)
	responses := bufio.NewScanner(out)
	responses.Buffer(nil, 64<<20)
	return &subprocess{t, cmd.Process, json.NewEncoder(in), responses, stop}
}

// ask sends a request and returns the response, which may be an error.
func (p *subprocess) ask(request scanRequest) scanResponse {
	p.t.Helper()
	var got scanResponse
	p.exchange(request, &got)
	return got
}

// exchange sends a request and reads the response into a variable.
func (p *subprocess) exchange(request, response any) {
	p.t.Helper()
	if err := p.requests.Encode(request); err != nil {
		p.t.Fatalf("send a request to process %d: %v", p.process.Pid, err)
	}
	answered := make(chan bool, 1)
	go func() { answered <- p.responses.Scan() }()
	select {
	case ok := <-answered:
		if !ok {
			p.t.Fatalf("process %d has ended: %v", p.process.Pid, p.responses.Err())
		}
	case <-time.After(timeout):
		_ = p.process.Kill()
		<-answered
		p.t.Fatalf("no answer from process %d in %v", p.process.Pid, timeout)
	}
	if err := json.Unmarshal(p.responses.Bytes(), response); err != nil {
		p.t.Fatal(err)
	}
}

// unprivileged returns the attributes of a user without any capability.
func unprivileged() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivilegedID, Gid: unprivilegedID}}
}

const unprivilegedID = 65534
