package leaktest

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// RequireRoot skips the test unless it runs as root.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: run it with sudo")
	}
}

// RequireProgram returns the path of a program, or skips the test where it is missing.
func RequireProgram(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs %s: %v", program, err)
	}
	return path
}

// RequireMPTCP skips the test where the kernel has no MPTCP, or a sysctl has switched it off.
func RequireMPTCP(t testing.TB) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err != nil {
		t.Skipf("needs MPTCP (CONFIG_MPTCP, sysctl net.mptcp.enabled=1): %v", err)
	}
	unix.Close(fd)
}

// Eventually checks the condition until it holds, at growing intervals, and fails the test with the
// last reason when the time is over. The time bounds a failure: it should be long enough for a
// loaded machine.
func Eventually(t testing.TB, within time.Duration, condition func() (done bool, why string)) {
	t.Helper()
	eventually(t, within, 5*time.Millisecond, 100*time.Millisecond, condition)
}

// EventuallyEvery is Eventually at a fixed interval, for conditions that take much CPU time.
func EventuallyEvery(t testing.TB, within, interval time.Duration, condition func() (done bool, why string)) {
	t.Helper()
	eventually(t, within, interval, interval, condition)
}

func eventually(t testing.TB, within, shortest, longest time.Duration, condition func() (done bool, why string)) {
	t.Helper()
	between := shortest
	for deadline := time.Now().Add(within); ; time.Sleep(between) {
		done, why := condition()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, why)
		}
		between = min(between*5/4, longest)
	}
}
