package kernel_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownHost skips a test that counts all that is there, or changes it, where others are there too.
func ownHost(t testing.TB) {
	t.Helper()
	if os.Getenv(isolatedVariable) == "" {
		t.Skip("needs root and the right to make namespaces (CAP_SYS_ADMIN): run it with sudo")
	}
}

// isolate runs the tests in a pid, a network and a mount namespace of their own, which looks like a
// host on which nothing else runs: the sockets of nobody else are counted, and no process, mount or
// setting outlives the tests, however they end. It returns only where that is not permitted.
func isolate(command []string) {
	// What is needed to build cmd/leak cannot be downloaded from in there. Where this fails, the build
	// fails too and says why.
	_ = exec.Command("go", "mod", "download").Run()

	undo := shrinkHashTable()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGQUIT, unix.SIGINT, unix.SIGTERM) // of go test, when time is over
	inside := exec.Command("/proc/self/exe", command[1:]...)
	inside.Env = append(os.Environ(), isolatedVariable+"="+bare)
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  unix.SIGKILL,
	}
	if err := inside.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests run among all else on this host:", err)
		signal.Stop(signals)
		undo()
		return
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
	exit(err)
}

// shrinkHashTable makes the kernel's table of connections in the namespace of the tests smaller than
// the 262,144 buckets that hosts have, so that a scan does not take most of its time to pass over
// empty ones. Where this does not work they only take longer.
func shrinkHashTable() (undo func()) {
	undo = func() {}
	runtime.LockOSThread() // the namespace of this thread is to be the parent of that of the tests
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return undo
	}
	if unix.Unshare(unix.CLONE_NEWNET) == nil {
		undo = func() { _ = unix.Setns(home, unix.CLONE_NEWNET) }
		shrinkHashTablesOfChildren()
	}
	return undo
}

// shrinkHashTablesOfChildren is for namespaces that are made from that of this thread.
func shrinkHashTablesOfChildren() {
	_ = os.WriteFile("/proc/sys/net/ipv4/tcp_child_ehash_entries", []byte("16384"), 0)
}

// furnish sets up what such a host needs: its own /proc and a loopback interface.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	shrinkHashTablesOfChildren()
	if err := setLoopbackUp(); err != nil {
		return fmt.Errorf("set the loopback interface up: %w", err)
	}
	return nil
}

func setLoopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, loopback); err != nil {
		return err
	}
	loopback.SetUint16(loopback.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, loopback)
}
