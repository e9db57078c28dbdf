package action

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
)

func TestWaitEndsWithItsContextAndCanBeRepeated(t *testing.T) {
	e := newExecutor(t)
	h := openHandle(t, e, startSleep(t).Process.Pid)
	reason := errors.New("the wait is over")
	for range 3 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, reason)
		if err := h.Wait(ctx); !errors.Is(err, reason) {
			t.Errorf("%v, want %v", err, reason)
		}
		cancel()
	}
	if err := h.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, h)
}

func TestSeveralCanWaitForOneProcess(t *testing.T) {
	e := newExecutor(t)
	h := openHandle(t, e, startSleep(t).Process.Pid)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	ended := make(chan error)
	for _, ctx := range []context.Context{t.Context(), cancelled, t.Context(), cancelled} {
		go func() {
			err := h.Wait(ctx)
			if ctx == cancelled && errors.Is(err, context.Canceled) {
				err = nil
			}
			ended <- err
		}()
	}
	if err := h.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefusesWhatIsNotTheProcess(t *testing.T) {
	e := newExecutor(t)
	living := kerneltest.IdentityOf(t, startSleep(t).Process.Pid)
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = zombie.Wait() })
	awaitState(t, zombie.Process.Pid, "Z")
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
		{"a zombie", kerneltest.IdentityOf(t, zombie.Process.Pid)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := e.Open(c.id)
			if !errors.Is(err, closewait.ErrGone) {
				t.Errorf("%v, want %v", err, closewait.ErrGone)
			}
			if err == nil {
				h.Close()
			}
		})
	}
	if _, err := e.Open(closewait.ProcessID{PID: 0}); err == nil || errors.Is(err, closewait.ErrGone) {
		t.Errorf("pid 0: %v, want an error other than %v", err, closewait.ErrGone)
	}
}

func TestAClosedHandleDoesNothing(t *testing.T) {
	e := newExecutor(t)
	p := newTarget(t, places[0])
	h := openHandle(t, e, p.pid())
	h.Close()
	h.Close()
	list := []*closewait.Socket{p.socket}
	for name, err := range map[string]error{
		"Signal":      h.Signal("KILL"),
		"Wait":        h.Wait(t.Context()),
		"Destroy":     errorOf2(h.Destroy(t.Context(), list)),
		"ThreadDump":  h.ThreadDump(t.Context()),
		"Verify":      errorOf2(h.Verify(t.Context(), list)),
		"Shutdown":    errorOf2(h.Shutdown(t.Context(), list)),
		"State":       errorOf2(h.State()),
		"RaiseNoFile": errorOf3(h.RaiseNoFile(closewait.UnlimitedFDs)),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v, want %v", name, err, os.ErrClosed)
		}
	}
	requireUntouched(t, p.peer)
	awaitState(t, p.pid(), "S")
}

func TestAProcessWithAZombieLeaderCanBeOpenedAndEnded(t *testing.T) {
	e := newExecutor(t)
	l := leaktest.Start(t, "--sockets=2", "--zombie-leader")
	h := openHandle(t, e, l.PID)
	expectNoExit(t, h)
	s, err := h.State()
	if err != nil || s.Threads < 2 || s.Halted() {
		t.Errorf("%+v, %v", s, err)
	}
	if err := h.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, h)
}

func errorOf2[A any](_ A, err error) error         { return err }
func errorOf3[A, B any](_ A, _ B, err error) error { return err }
