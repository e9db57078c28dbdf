package action

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

func TestOnlyOneProcessHasTheHostLock(t *testing.T) {
	e := newExecutor(t)
	first, err := e.Lock()
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Lock()
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process "+itoa(os.Getpid())) {
		t.Errorf("a second lock: %v, want %v by this process", err, ErrLocked)
	}
	// It shares no file system with this process, like a process in another container.
	other := start(t, nil, "unshare", "-m", "-n", "flock", "-n", "/proc/self/ns/pid", "true")
	if err := other.Wait(); err == nil {
		t.Error("a process in another mount namespace gets the lock too")
	}
	first.Release()
	again, err := e.Lock()
	if err != nil {
		t.Fatalf("after it was released: %v", err)
	}
	again.Release()
}

func TestTheHostLockEndsWithItsProcess(t *testing.T) {
	e := newExecutor(t)
	holder := start(t, nil, "flock", "--no-fork", "/proc/self/ns/pid", "sleep", "1000")
	awaitLockState(t, e, true)
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitLockState(t, e, false)
}

func awaitLockState(t *testing.T, e *Executor, want bool) {
	t.Helper()
	leaktest.Eventually(t, soon, func() (bool, string) {
		lock, err := e.Lock()
		if err == nil {
			lock.Release()
		}
		return errors.Is(err, ErrLocked) == want, fmt.Sprint(err)
	})
}
