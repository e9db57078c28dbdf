package action

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

func TestASignalEndsAProcessAndWaitSaysSo(t *testing.T) {
	e := newExecutor(t)
	for _, name := range []string{"TERM", "KILL", "QUIT"} {
		cmd := startSleep(t)
		h := openHandle(t, e, cmd.Process.Pid)
		if exited, err := h.Exited(); err != nil || exited {
			t.Fatalf("before %s: exited %v, %v", name, exited, err)
		}
		if err := h.Signal(name); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, h)
		if err := h.Signal(name); !errors.Is(err, closewait.ErrGone) { // it is a zombie, which accepts signals
			t.Errorf("a second %s: %v, want %v", name, err, closewait.ErrGone)
		}
	}
}

func TestUnknownSignalsAreRefused(t *testing.T) {
	e := newExecutor(t)
	h := openHandle(t, e, startSleep(t).Process.Pid)
	for _, name := range []string{"", "SIGTERM", "term", "9", "TERMINATE"} {
		if err := h.Signal(name); err == nil {
			t.Errorf("signal %q was sent", name)
		}
	}
	if exited, err := h.Exited(); err != nil || exited {
		t.Errorf("exited %v, %v", exited, err)
	}
}

func TestTERMThatIsIgnoredEndsNothingAndKILLDoes(t *testing.T) {
	e := newExecutor(t)
	l := leaktest.Start(t, "--sockets=1", "--ignore-sigterm")
	h := openHandle(t, e, l.PID)
	if err := h.Signal("TERM"); err != nil {
		t.Fatal(err)
	}
	expectNoExit(t, h)
	if err := h.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, h)
}

// TestTheFirstProcessOfAContainerIgnoresTERM has pid 1 of a pid namespace. The kernel drops signals
// for which such a process has no handler, except KILL and STOP, also when they come from outside.
func TestTheFirstProcessOfAContainerIgnoresTERM(t *testing.T) {
	e := newExecutor(t)
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	h := openHandle(t, e, cmd.Process.Pid)
	defer func() { _ = h.Signal("KILL") }()
	if err := h.Signal("TERM"); err != nil {
		t.Fatal(err)
	}
	expectNoExit(t, h)
	if err := h.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, h)
}

func TestAStoppedProcessKeepsTERMPending(t *testing.T) {
	e := newExecutor(t)
	h := openHandle(t, e, startSleep(t).Process.Pid)
	for _, step := range []string{"STOP", "TERM"} {
		if err := h.Signal(step); err != nil {
			t.Fatal(err)
		}
		leaktest.Eventually(t, soon, func() (bool, string) {
			s, err := h.State()
			return err == nil && s.Stopped == 1 && s.Halted(), fmt.Sprintf("after %s: %+v, %v, want one thread stopped", step, s, err)
		})
	}
	if err := h.Signal("CONT"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, h)
}
