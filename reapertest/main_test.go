// Package reapertest lets the exporter act on real processes that leak, on a host of its own: a pid, a
// network and a mount namespace in which nothing else runs. CLOSEWAIT_LONG=1 is for a night.
package reapertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// Environment variables that tell the test binary what it is run for.
const (
	isolatedVariable = "REAPERTEST_ISOLATED" // on a host of its own
	roleVariable     = "REAPERTEST_ROLE"     // not for tests: see play
)

// long is a night's work.
var long = os.Getenv("CLOSEWAIT_LONG") != ""

// TestMain gives the tests a host of their own. A reaper that goes wrong must find no process there
// that is not of these tests, so that without one nothing is tested.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(roleVariable) != "":
		exit(play(os.Getenv(roleVariable)))
	case os.Getenv(isolatedVariable) != "":
		if err := furnish(); err != nil {
			exit(err)
		}
		goleak.VerifyTestMain(m)
	case os.Geteuid() != 0:
		fmt.Println("the tests of the reaper need root, for namespaces of their own: they are skipped")
	default:
		exit(isolate())
	}
}

// isolate runs the tests in a pid, a network and a mount namespace of their own. All that they have
// started ends with them.
func isolate() error {
	// In there nothing can be downloaded. Where this fails, the builds fail too and say why.
	_ = exec.Command("go", "mod", "download").Run()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGQUIT, unix.SIGINT, unix.SIGTERM) // of go test, when time is over
	inside := exec.Command("/proc/self/exe", os.Args[1:]...)
	inside.Env = append(os.Environ(), isolatedVariable+"=1")
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  unix.SIGKILL,
	}
	if err := inside.Start(); err != nil {
		fmt.Println("the tests of the reaper need namespaces of their own, and are skipped:", err)
		return nil
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
	return err
}

// furnish gives the new host its own /proc and a loopback interface.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := raiseLoopback(); err != nil {
		return fmt.Errorf("set the loopback interface up: %w", err)
	}
	return nil
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo); err != nil {
		return err
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "test of the reaper:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
