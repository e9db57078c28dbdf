package hosttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// variable is the environment variable that tells a test binary that it runs on its own host, and
// whether that host is prepared. The workers of a fuzz test inherit it and run there too.
const (
	variable             = "CLOSEWAIT_TEST_HOST"
	unprepared, prepared = "unprepared", "prepared"
)

// Unprepared goes into the environment of a test binary that a test starts in new namespaces: Move
// then prepares them.
const Unprepared = variable + "=" + unprepared

// Own reports whether the tests run on their own host.
func Own() bool { return os.Getenv(variable) != "" }

// Require skips the test unless the tests run on their own host.
func Require(t testing.TB) {
	t.Helper()
	if !Own() {
		t.Skip("needs root and the right to make namespaces (CAP_SYS_ADMIN): run it with sudo")
	}
}

// Move is for TestMain. It runs the test binary again on a new host and exits with its status. On
// the new host it returns nil. It returns an error only where no host can be made; the tests may
// then run here.
func Move() error {
	switch {
	case os.Getenv(variable) == prepared:
		return nil
	case os.Getenv(variable) == unprepared:
		if err := prepare(); err != nil {
			end(fmt.Errorf("prepare the host of the tests: %w", err))
		}
		return os.Setenv(variable, prepared)
	case os.Geteuid() != 0:
		return errors.New("needs root, for its own namespaces: run it with sudo")
	}
	// The new host has no network. If this fails, the builds there fail and report why.
	_ = exec.Command("go", "mod", "download").Run()
	return runInside()
}

// runInside runs the test binary on a new host, and forwards the signals of go test, such as for a
// timeout.
func runInside() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGQUIT, unix.SIGINT, unix.SIGTERM)
	inside := exec.Command("/proc/self/exe", os.Args[1:]...)
	inside.Env = append(os.Environ(), Unprepared)
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  unix.SIGKILL,
	}
	if err := inside.Start(); err != nil {
		signal.Stop(signals)
		return fmt.Errorf("make namespaces for the tests: %w", err)
	}
	go func() {
		for s := range signals {
			_ = inside.Process.Signal(s)
		}
	}()
	err := inside.Wait()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		os.Exit(max(failed.ExitCode(), 1))
	}
	end(err)
	return nil
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
