package scan_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"closewait_exporter/internal/kerneltest"
)

// Environment variables that tell the test binary what it is run for.
const (
	roleVariable  = "KERNEL_TEST_ROLE" // set in the process of a role: see runRole
	benchVariable = "CLOSEWAIT_BENCH"  // set by make bench, which measures the host as it is
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(roleVariable) != "":
		exit(runRole(os.Getenv(roleVariable)))
	case os.Getenv(benchVariable) == "":
		kerneltest.Isolate()
	}
	goleak.VerifyTestMain(m)
}

// runRole runs the role for which a test has started the test binary again.
func runRole(role string) error {
	switch role {
	case scanRole:
		return serveScans(os.Stdin, os.Stdout)
	case actorRole:
		return serveOperations(os.Stdin, os.Stdout)
	case blockedRole:
		return block(os.Args[1], os.Stdin)
	}
	return fmt.Errorf("unknown role %q; %s is for tests", role, roleVariable)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernel test:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
