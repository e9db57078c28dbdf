// Package dashboards has no code: closewait.json is for Grafana, and these are its checks.
package dashboards

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// isolatedVariable tells the test binary that it runs on a host of its own.
const isolatedVariable = "DASHBOARDS_ISOLATED"

// TestMain gives the tests a host of their own where it may: a reaper that acts is part of what the
// dashboard shows, and it must find no process there that is not of these tests.
func TestMain(m *testing.M) {
	if os.Geteuid() == 0 && os.Getenv(isolatedVariable) == "" {
		isolate()
	}
	goleak.VerifyTestMain(m)
}

// isolate runs the tests in a pid, a network and a mount namespace of their own, and ends the process
// with their outcome. It returns only where that is not permitted.
func isolate() {
	// In there nothing can be downloaded. Where this fails, the builds fail too and say why.
	_ = exec.Command("go", "mod", "download").Run()
	if err := exec.Command("unshare", "--pid", "--net", "--mount", "--fork", "--mount-proc", "true").Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests run among all else on this host: unshare:", err)
		return
	}
	command := append([]string{"--pid", "--net", "--mount", "--fork", "--mount-proc", "--kill-child"}, os.Args...)
	inside := exec.Command("unshare", command...)
	inside.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	inside.Env = append(os.Environ(), isolatedVariable+"=1")
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := inside.Run()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		os.Exit(max(failed.ExitCode(), 1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// requireHost skips a test that needs a host of its own, and sets up the loopback interface there.
func requireHost(t *testing.T) {
	t.Helper()
	if os.Getenv(isolatedVariable) == "" {
		t.Skip("needs root, for namespaces of its own: sudo make test")
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("set up the loopback interface: %v: %s", err, out)
	}
}
