package action

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
)

// start starts a program that ends with the test. It has the files as descriptors 3, 4, ...
func start(t *testing.T, files []*os.File, name string, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, arguments...)
	cmd.ExtraFiles = files
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func startSleep(t *testing.T, files ...*os.File) *exec.Cmd {
	t.Helper()
	return start(t, files, "sleep", "1000")
}

// openHandle opens a process until the end of the test.
func openHandle(t *testing.T, e *Executor, pid int) *ProcessHandle {
	t.Helper()
	h, err := e.Open(kerneltest.IdentityOf(t, pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func itoa(n int) string    { return strconv.Itoa(n) }
func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

func awaitEnd(t *testing.T, h *ProcessHandle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := h.Wait(ctx); err != nil {
		t.Fatalf("it has not ended: %v", err)
	}
	if exited, err := h.Exited(); err != nil || !exited {
		t.Errorf("after its end: exited %v, %v", exited, err)
	}
}

// expectNoExit fails if the process ends within the time that the effect of a signal takes.
func expectNoExit(t *testing.T, h *ProcessHandle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := h.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it has ended: %v", err)
	}
}

// awaitState waits until /proc/PID/stat shows the state.
func awaitState(t *testing.T, pid int, state string) {
	t.Helper()
	leaktest.Eventually(t, soon, func() (bool, string) {
		data, _ := os.ReadFile("/proc/" + itoa(pid) + "/stat")
		_, rest, _ := strings.Cut(string(data), ") ")
		return strings.HasPrefix(rest, state), "state " + state + ": " + string(data)
	})
}

// awaitComm waits until a process has a name, as after an exec.
func awaitComm(t *testing.T, pid int, name string) {
	t.Helper()
	leaktest.Eventually(t, soon, func() (bool, string) {
		comm, _ := os.ReadFile("/proc/" + itoa(pid) + "/comm")
		return string(comm) == name+"\n", "it is called " + string(comm)
	})
}

// TestDescriptorsThatAThreadReleasesAreCounted has a thread with a descriptor table of its own, as
// the reaper describes it before and after its steps.
func TestDescriptorsThatAThreadReleasesAreCounted(t *testing.T) {
	e := newExecutor(t)
	l := leaktest.Start(t, "--sockets=30", "--private-fdtable")
	h := openHandle(t, e, l.PID)
	before, err := h.Describe()
	if err != nil {
		t.Fatal(err)
	}
	l.Do("close 20")
	after, err := h.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if !before.FDsKnown || !after.FDsKnown || before.OpenFDs-after.OpenFDs != 20 {
		t.Errorf("%d descriptors before and %d after, want 20 less", before.OpenFDs, after.OpenFDs)
	}
}
