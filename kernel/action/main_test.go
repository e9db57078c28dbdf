package action

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"closewait_exporter/internal/kerneltest"
)

// TestMain runs the tests on a host of their own, so that no other process has its host lock. With
// CLOSEWAIT_BENCH the benchmarks measure the host as it is.
func TestMain(m *testing.M) {
	if os.Getenv("CLOSEWAIT_BENCH") == "" {
		kerneltest.Isolate()
	}
	goleak.VerifyTestMain(m)
}
