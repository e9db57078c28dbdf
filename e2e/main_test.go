// Package e2e tests the program as it is delivered: the binary, as a process of its own, beside real
// programs that leak. What it says is compared with what ss says and with what the test itself did.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is for how long a test waits for what takes seconds at worst.
const patience = 30 * time.Second

// program is the path of the exporter, which everybody may run.
var program string

// roleVariable makes the test binary a program that leaks, instead of tests.
const roleVariable = "E2E_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		exit(play(role))
	}
	remove, err := build()
	if err != nil {
		exit(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		remove()
		os.Exit(status)
	}))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e test:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// build builds the program once, as make build does. All tests need root, and are skipped without.
func build() (remove func(), err error) {
	if os.Geteuid() != 0 {
		return func() {}, nil
	}
	const everybodyReads = 0o755
	dir, err := os.MkdirTemp("", "closewait-e2e-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, everybodyReads); err != nil {
		return nil, err
	}
	program = filepath.Join(dir, "closewait_exporter")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the exporter: %w\n%s", err, out)
	}
	return func() { _ = os.RemoveAll(dir) }, nil
}
