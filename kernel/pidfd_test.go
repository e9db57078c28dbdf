package kernel

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

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
			if !errors.Is(err, closewait.ErrGone) {
				t.Errorf("%v, want %v", err, closewait.ErrGone)
			}
			if err == nil {
				g.Close()
			}
		})
	}
	if _, err := h.Grab(closewait.ProcessID{PID: 0}); err == nil || errors.Is(err, closewait.ErrGone) {
		t.Errorf("pid 0: %v, want an error that is no end", err)
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

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }
