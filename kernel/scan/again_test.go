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

// remote is a process that obeys orders. It ends with the test.
type remote struct {
	t       testing.TB
	process *os.Process
	orders  *json.Encoder
	reports *bufio.Scanner
	stop    func() // and wait for its end
}

// startLooker runs this test binary again as a looker: with other rights, or behind a command such
// as strace.
func startLooker(t testing.TB, attr *syscall.SysProcAttr, behind ...string) *remote {
	t.Helper()
	return startAgain(t, lookerRole, attr, behind...)
}

// startAgain runs this test binary again in a role that obeys orders.
func startAgain(t testing.TB, role string, attr *syscall.SysProcAttr, behind ...string) *remote {
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
	cmd.WaitDelay = patience
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
		in.Close() // there are no more orders: it ends
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", role, err, stderr)
		}
	})
	t.Cleanup(stop)
	reports := bufio.NewScanner(out)
	reports.Buffer(nil, 64<<20)
	return &remote{t, cmd.Process, json.NewEncoder(in), reports, stop}
}

// ask gives an order and returns the answer, which may be an error.
func (r *remote) ask(o order) report {
	r.t.Helper()
	var got report
	r.exchange(o, &got)
	return got
}

// exchange gives an order and reads the answer into a variable.
func (r *remote) exchange(order, answer any) {
	r.t.Helper()
	if err := r.orders.Encode(order); err != nil {
		r.t.Fatalf("give an order to process %d: %v", r.process.Pid, err)
	}
	answered := make(chan bool, 1)
	go func() { answered <- r.reports.Scan() }()
	select {
	case ok := <-answered:
		if !ok {
			r.t.Fatalf("process %d has ended: %v", r.process.Pid, r.reports.Err())
		}
	case <-time.After(patience):
		_ = r.process.Kill()
		<-answered
		r.t.Fatalf("no answer from process %d in %v", r.process.Pid, patience)
	}
	if err := json.Unmarshal(r.reports.Bytes(), answer); err != nil {
		r.t.Fatal(err)
	}
}

// asNobody is a user without any capability.
func asNobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

const nobody = 65534
