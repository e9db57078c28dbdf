package kernel

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

func TestASignalEndsAProcessAndWaitSaysSo(t *testing.T) {
	h := newHands(t)
	for _, name := range []string{"TERM", "KILL", "QUIT"} {
		cmd := startSleep(t)
		g := grab(t, h, cmd.Process.Pid)
		if exited, err := g.Exited(); err != nil || exited {
			t.Fatalf("before %s: exited %v, %v", name, exited, err)
		}
		if err := g.Signal(name); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, g)
		if err := g.Signal(name); !errors.Is(err, closewait.ErrGone) { // nobody has collected it: a zombie takes signals
			t.Errorf("a second %s: %v, want %v", name, err, closewait.ErrGone)
		}
	}
}

func TestUnknownSignalsAreRefused(t *testing.T) {
	h := newHands(t)
	g := grab(t, h, startSleep(t).Process.Pid)
	for _, name := range []string{"", "SIGTERM", "term", "9", "TERMINATE"} {
		if err := g.Signal(name); err == nil {
			t.Errorf("signal %q was sent", name)
		}
	}
	if exited, err := g.Exited(); err != nil || exited {
		t.Errorf("exited %v, %v", exited, err)
	}
}

func TestTERMThatIsIgnoredEndsNothingAndKILLDoes(t *testing.T) {
	h := newHands(t)
	l := leaktest.Start(t, "--sockets=1", "--ignore-sigterm")
	g := grab(t, h, l.PID)
	if err := g.Signal("TERM"); err != nil {
		t.Fatal(err)
	}
	staysAlive(t, g)
	if err := g.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, g)
}

// TestTheFirstProcessOfAContainerIgnoresTERM: the kernel drops signals from outside, too, for which
// pid 1 of a pid namespace has no handler, except KILL and STOP.
func TestTheFirstProcessOfAContainerIgnoresTERM(t *testing.T) {
	h := newHands(t)
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	g := grab(t, h, cmd.Process.Pid)
	defer func() { _ = g.Signal("KILL") }()
	if err := g.Signal("TERM"); err != nil {
		t.Fatal(err)
	}
	staysAlive(t, g)
	if err := g.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, g)
}

func TestAStoppedProcessKeepsTERMPending(t *testing.T) {
	h := newHands(t)
	g := grab(t, h, startSleep(t).Process.Pid)
	for _, step := range []string{"STOP", "TERM"} {
		if err := g.Signal(step); err != nil {
			t.Fatal(err)
		}
		leaktest.Eventually(t, soon, func() (bool, string) {
			s, err := g.State()
			return err == nil && s.Stopped == 1 && s.Halted(), "stopped"
		})
	}
	if err := g.Signal("CONT"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, g)
}
