package leaktest

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// RequireRoot skips a test that only root can run.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: run it with sudo")
	}
}

// RequireProgram finds a program, or skips a test that needs it.
func RequireProgram(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs %s: %v", program, err)
	}
	return path
}

// Eventually asks until the condition holds, less and less often, and ends the test when the time is
// over; why then tells what was still missing.
func Eventually(t testing.TB, within time.Duration, condition func() (done bool, why string)) {
	t.Helper()
	const longest = 100 * time.Millisecond
	between := 5 * time.Millisecond
	for deadline := time.Now().Add(within); ; time.Sleep(between) {
		between = min(between*5/4, longest)
		done, why := condition()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, why)
		}
	}
}
