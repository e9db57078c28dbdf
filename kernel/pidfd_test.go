package kernel

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

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
		if err := g.Signal(name); !errors.Is(err, ErrGone) { // nobody has collected it: a zombie takes signals
			t.Errorf("a second %s: %v, want %v", name, err, ErrGone)
		}
	}
}

func TestWaitEndsWithItsContextAndCanBeRepeated(t *testing.T) {
	h := newHands(t)
	g := grab(t, h, startSleep(t).Process.Pid)
	reason := errors.New("tired of waiting")
	for range 3 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, reason)
		if err := g.Wait(ctx); !errors.Is(err, reason) {
			t.Errorf("%v, want %v", err, reason)
		}
		cancel()
	}
	if err := g.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, g)
}

func TestSeveralCanWaitForOneProcess(t *testing.T) {
	h := newHands(t)
	g := grab(t, h, startSleep(t).Process.Pid)
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	ended := make(chan error)
	for _, ctx := range []context.Context{t.Context(), impatient, t.Context(), impatient} {
		go func() {
			err := g.Wait(ctx)
			if ctx == impatient && errors.Is(err, context.Canceled) {
				err = nil
			}
			ended <- err
		}()
	}
	if err := g.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestGrabRefusesWhatIsNotTheProcess(t *testing.T) {
	h := newHands(t)
	living := idOf(t, startSleep(t).Process.Pid)
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = zombie.Wait() })
	awaitLetter(t, zombie.Process.Pid, "Z")
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		id   closewait.ProcessID
	}{
		{"another start time", closewait.ProcessID{PID: living.PID, Start: living.Start + 1}},
		{"no such process", closewait.ProcessID{PID: ended.Process.Pid, Start: living.Start}},
		{"a zombie", idOf(t, zombie.Process.Pid)},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := h.Grab(c.id)
			if !errors.Is(err, ErrGone) {
				t.Errorf("%v, want %v", err, ErrGone)
			}
			if err == nil {
				g.Close()
			}
		})
	}
	if _, err := h.Grab(closewait.ProcessID{PID: 0}); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("pid 0: %v, want an error that is no end", err)
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

func TestAClosedGripDoesNothing(t *testing.T) {
	h := newHands(t)
	v := newVictim(t, places[0])
	g := grab(t, h, v.pid())
	g.Close()
	g.Close()
	list := []*closewait.Socket{v.socket}
	for name, err := range map[string]error{
		"Signal":      g.Signal("KILL"),
		"Wait":        g.Wait(t.Context()),
		"Destroy":     second(g.Destroy(t.Context(), list)),
		"ThreadDump":  g.ThreadDump(t.Context()),
		"Verify":      second(g.Verify(t.Context(), list)),
		"Shutdown":    second(g.Shutdown(t.Context(), list)),
		"State":       second(g.State()),
		"RaiseNoFile": third(g.RaiseNoFile(closewait.UnlimitedFDs)),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v, want %v", name, err, os.ErrClosed)
		}
	}
	stillOpen(t, v.peer)
	awaitLetter(t, v.pid(), "S")
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

func TestAProcessWithAZombieLeaderIsHeld(t *testing.T) {
	h := newHands(t)
	l := leaktest.Start(t, "--sockets=2", "--zombie-leader")
	g := grab(t, h, l.PID)
	staysAlive(t, g)
	s, err := g.State()
	if err != nil || s.Threads < 2 || s.Halted() {
		t.Errorf("%+v, %v", s, err)
	}
	if err := g.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, g)
}

func awaitEnd(t *testing.T, g *Grip) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := g.Wait(ctx); err != nil {
		t.Fatalf("it does not end: %v", err)
	}
	if exited, err := g.Exited(); err != nil || !exited {
		t.Errorf("after its end: exited %v, %v", exited, err)
	}
}

// staysAlive gives a signal that should do nothing time to do something.
func staysAlive(t *testing.T, g *Grip) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := g.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it has ended: %v", err)
	}
}

// awaitLetter waits until /proc/PID/stat shows the state.
func awaitLetter(t *testing.T, pid int, state string) {
	t.Helper()
	leaktest.Eventually(t, soon, func() (bool, string) {
		data, _ := os.ReadFile("/proc/" + itoa(pid) + "/stat")
		_, rest, _ := strings.Cut(string(data), ") ")
		return strings.HasPrefix(rest, state), "state " + state + ": " + string(data)
	})
}

// awaitComm waits until a process has that name, as after an exec.
func awaitComm(t *testing.T, pid int, name string) {
	t.Helper()
	leaktest.Eventually(t, soon, func() (bool, string) {
		comm, _ := os.ReadFile("/proc/" + itoa(pid) + "/comm")
		return string(comm) == name+"\n", "it is called " + string(comm)
	})
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }
