package action

import (
	"context"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

// placements are kinds of leaking programs, some with sockets in unusual places. Each runs in a
// network namespace of its own.
var placements = []struct {
	name  string
	flags []string
}{
	{"of one process", nil},
	{"in the table of a thread", []string{"--private-fdtable"}},
	{"of a zombie leader", []string{"--zombie-leader"}},
	{"shared with children", []string{"--children=2"}},
}

func TestVerifyKeepsTheSocketsThatAreStillHeldInCloseWait(t *testing.T) {
	e := newExecutor(t)
	for _, c := range placements {
		t.Run("sockets "+c.name, func(t *testing.T) {
			l := leaktest.Where{NetNS: true}.Start(t, append(c.flags, "--sockets=4", "--listen=127.0.0.1:0", "--listen=[::1]:0")...)
			list := closeWaitSocketsOf(t, l.PID)
			h := openHandle(t, e, l.PID)
			still, err := h.Verify(t.Context(), list)
			if err != nil || len(list) != 4 || len(still) != 4 {
				t.Fatalf("%d of %d sockets, want 4 of 4; %v", len(still), len(list), err)
			}
			if _, err := h.Shutdown(t.Context(), list[:1]); err != nil {
				t.Fatal(err)
			}
			still, err = h.Verify(t.Context(), list)
			if err != nil || len(still) != 3 || slices.Contains(still, list[0]) {
				t.Errorf("after one was shut down: %d sockets, want 3; %v", len(still), err)
			}
		})
	}
}

func TestActionsReachSocketsWhereverTheyAre(t *testing.T) {
	e := newExecutor(t)
	for _, c := range placements {
		for _, name := range []string{"Destroy", "Shutdown"} {
			t.Run(name+" of sockets "+c.name, func(t *testing.T) {
				l := leaktest.Where{NetNS: true}.Start(t, append(c.flags, "--sockets=3", "--listen=[::]:0", "--connect=127.0.0.1")...)
				list := closeWaitSocketsOf(t, l.PID)
				counts, err := socketActions[name](openHandle(t, e, l.PID), t, list)
				if err != nil || counts != (closewait.SocketCounts{Done: 3}) {
					t.Errorf("%+v, %v", counts, err)
				}
				if list := closeWaitSocketsOf(t, l.PID); len(list) != 0 {
					t.Errorf("still in CLOSE_WAIT: %+v", list)
				}
			})
		}
	}
}

func TestSocketsOfAnotherProcessAreNotVerified(t *testing.T) {
	e := newExecutor(t)
	p := newTarget(t, places[0])
	other := openHandle(t, e, startSleep(t).Process.Pid)
	if still, err := other.Verify(t.Context(), []*closewait.Socket{p.socket}); err != nil || len(still) != 0 {
		t.Errorf("%d sockets, %v", len(still), err)
	}
	if counts, err := other.Shutdown(t.Context(), []*closewait.Socket{p.socket}); err != nil || counts != (closewait.SocketCounts{Gone: 1}) {
		t.Errorf("%+v, %v", counts, err)
	}
	requireUntouched(t, p.peer)
}

func TestSocketsOfANamespaceWithoutProcessesAreGone(t *testing.T) {
	e := newExecutor(t)
	p := newTarget(t, places[0])
	p.socket.ID.NetNS = 1
	h := openHandle(t, e, p.pid())
	if counts, err := h.Destroy(t.Context(), []*closewait.Socket{p.socket}); err != nil || counts != (closewait.SocketCounts{Gone: 1}) {
		t.Errorf("%+v, %v", counts, err)
	}
	requireUntouched(t, p.peer)
}

// TestDestroyFindsASocketThatIsBoundToAnInterface has a socket that the kernel finds only when the
// request names the interface. IPv6 connections of link-local addresses are bound to one too.
func TestDestroyFindsASocketThatIsBoundToAnInterface(t *testing.T) {
	e := newExecutor(t)
	listener := leaktest.Listen(t, "tcp", "127.0.0.1:0", func(config *net.ListenConfig) {
		config.Control = func(_, _ string, c syscall.RawConn) (err error) {
			_ = c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "lo") })
			return err
		}
	})
	leaktest.Connect(t, listener).HalfCloseClient()
	h := openHandle(t, e, os.Getpid())
	counts, err := h.Destroy(t.Context(), closeWaitSocketsOf(t, os.Getpid()))
	if err != nil || counts != (closewait.SocketCounts{Done: 1}) {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestACancelledCallTouchesNothing(t *testing.T) {
	e := newExecutor(t)
	p := newTarget(t, places[0])
	h := openHandle(t, e, p.pid())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	list := []*closewait.Socket{p.socket}
	for name, err := range map[string]error{
		"verify":   errorOf2(h.verify(ctx, list)),
		"shutdown": errorOf2(h.shutdown(ctx, list)),
		"destroy":  errorOf2(h.Destroy(ctx, list)),
		"holders":  errorOf2(e.Holders(ctx, list)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	requireUntouched(t, p.peer)
}
