package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
)

// onOwnHost runs a test again on a host of its own, where all sockets are its own and settings of
// the network are free. It returns true there. Elsewhere it waits for that run and reports its
// result.
func onOwnHost(t *testing.T) bool {
	t.Helper()
	if hosttest.Own() {
		return true
	}
	leaktest.RequireRoot(t)
	t.Parallel()
	program(t) // the other host has no network for modules
	leaktest.Build(t)
	inside := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$", "-test.timeout=1h")
	inside.Env = append(os.Environ(), hosttest.Unprepared)
	inside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := inside.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("on its own host: %v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP: "+t.Name())):
		t.Skipf("on its own host:\n%s", out)
	default:
		t.Logf("on its own host:\n%s", out)
	}
	return false
}
