// Package e2e tests the program as it is delivered: the binary, as a separate process, beside real
// programs that leak. What it reports is compared with ss and with what the test itself did.
package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
)

// maxWait bounds the wait for what takes seconds on an idle machine.
const maxWait = time.Minute

// longVariable is the environment variable that enables tests which take minutes and download
// modules.
const longVariable = "CLOSEWAIT_LONG"

// TestMain prepares the host where a test has started this binary on its own host.
func TestMain(m *testing.M) {
	if hosttest.Own() {
		if err := hosttest.Move(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// program is the path of the exporter, which all users may run.
func program(t testing.TB) string {
	t.Helper()
	return leaktest.BuildExporter(t)
}
