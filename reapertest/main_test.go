// Package reapertest lets the exporter act on real processes that leak, on a host of its own: a pid, a
// network and a mount namespace in which nothing else runs. CLOSEWAIT_LONG=1 is for a night.
package reapertest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"closewait_exporter/internal/hosttest"
)

// roleVariable makes the test binary something else than tests: see play.
const roleVariable = "REAPERTEST_ROLE"

// long is a night's work.
var long = os.Getenv("CLOSEWAIT_LONG") != ""

// TestMain gives the tests a host of their own. A reaper that goes wrong must find no process there
// that is not of these tests, so that without one nothing is tested.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		exit(play(role))
	}
	if err := hosttest.Move(); err != nil {
		fmt.Println("the tests of the reaper are skipped:", err)
		return
	}
	goleak.VerifyTestMain(m)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "test of the reaper:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
