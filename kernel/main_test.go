package kernel_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// benchVariable is set to measure the host as it is.
const benchVariable = "CLOSEWAIT_BENCH"

func TestMain(m *testing.M) {
	if os.Getenv(benchVariable) == "" {
		isolate()
	}
	goleak.VerifyTestMain(m)
}
