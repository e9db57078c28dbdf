// Package reapertest runs the exporter with a reaper that acts on real leaking processes, on its
// own host: a pid, a network and a mount namespace in which nothing else runs. CLOSEWAIT_LONG=1
// runs for hours.
package reapertest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"closewait_exporter/internal/hosttest"
)

// long asks for many more rounds of what is random.
var long = os.Getenv("CLOSEWAIT_LONG") != ""

// TestMain runs the tests on their own host. A reaper that goes wrong must find no process of
// others, so the tests are skipped where no such host can be made.
func TestMain(m *testing.M) {
	if err := hosttest.Move(); err != nil {
		fmt.Println("the tests of the reaper are skipped:", err)
		return
	}
	goleak.VerifyTestMain(m)
}
