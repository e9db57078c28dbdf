package action

import (
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

// asClosed returns the socket as a scan reports it once it is closed.
func asClosed(s *closewait.Socket) *closewait.Socket {
	after := *s
	after.State = closewait.Closed
	return &after
}

// resetByPeer makes the peer reset the connection of a target, and returns the closed socket.
func (p target) resetByPeer(t *testing.T) *closewait.Socket {
	t.Helper()
	if err := p.peer.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = p.peer.Close()
	leaktest.Eventually(t, soon, func() (bool, string) { return len(closeWaitSocketsOf(t, p.pid())) == 0, "it is still in CLOSE_WAIT" })
	return asClosed(p.socket)
}

// waysToBecomeClosed are ways in which a socket becomes closed.
var waysToBecomeClosed = map[string]func(*ProcessHandle, *testing.T, target) *closewait.Socket{
	"reset by its peer": func(_ *ProcessHandle, t *testing.T, p target) *closewait.Socket { return p.resetByPeer(t) },
	"destroyed":         destroySocket,
}

// destroySocket destroys the socket of a target, and returns the closed socket.
func destroySocket(h *ProcessHandle, t *testing.T, p target) *closewait.Socket {
	t.Helper()
	if counts, err := h.Destroy(t.Context(), []*closewait.Socket{p.socket}); err != nil || counts != (closewait.SocketCounts{Done: 1}) {
		t.Fatalf("%+v, %v", counts, err)
	}
	return asClosed(p.socket)
}

func TestAClosedSocketIsVerifiedAsSuchAndOnlyAsSuch(t *testing.T) {
	e := newExecutor(t)
	for way, makeClosed := range waysToBecomeClosed {
		for _, at := range places {
			t.Run(way+", "+at.name, func(t *testing.T) {
				p := newTarget(t, at)
				h := openHandle(t, e, p.pid())
				early := asClosed(p.socket) // it still is in CLOSE_WAIT
				if still, err := h.Verify(t.Context(), []*closewait.Socket{early}); err != nil || len(still) != 0 {
					t.Errorf("in CLOSE_WAIT, but %d are verified as closed; %v", len(still), err)
				}
				closed := makeClosed(h, t, p)
				renamed, anonymous := *closed, *closed
				renamed.ID.Cookie++
				anonymous.ID = closewait.TupleID(anonymous.ID.NetNS, anonymous.Local, anonymous.Remote, anonymous.Inode)
				elsewhere := anonymous
				elsewhere.Local = otherPort(elsewhere.Local)
				still, err := h.Verify(t.Context(), []*closewait.Socket{p.socket, &renamed, closed, &anonymous, &elsewhere})
				if err != nil || len(still) != 2 || still[0] != closed || still[1] != &anonymous {
					t.Errorf("%d verified, want the closed socket, with its cookie and without; %v", len(still), err)
				}
				if holders, err := e.Holders(t.Context(), []*closewait.Socket{closed}); err != nil || len(holders.Of[closed.ID]) != 1 {
					t.Errorf("holders %+v, %v", holders, err)
				}
				if still, err := openHandle(t, e, startSleep(t).Process.Pid).Verify(t.Context(), []*closewait.Socket{closed}); err != nil || len(still) != 0 {
					t.Errorf("%d verified with a process that does not hold it; %v", len(still), err)
				}
			})
		}
	}
}

func TestActionsSkipClosedSockets(t *testing.T) {
	e := newExecutor(t)
	for _, name := range []string{"Destroy", "Shutdown"} {
		t.Run(name, func(t *testing.T) {
			p, waiting := newTarget(t, places[0]), newTarget(t, places[0])
			h := openHandle(t, e, p.pid())
			closed := destroySocket(h, t, p)
			counts, err := socketActions[name](h, t, []*closewait.Socket{closed})
			if err != nil || counts != (closewait.SocketCounts{Closed: 1}) {
				t.Errorf("%+v, %v", counts, err)
			}
			counts, err = socketActions[name](openHandle(t, e, waiting.pid()), t, []*closewait.Socket{closed, waiting.socket})
			if err != nil || counts != (closewait.SocketCounts{Done: 1, Closed: 1}) {
				t.Errorf("beside another: %+v, %v", counts, err)
			}
			if !p.holdsSocket(t) {
				t.Error("the descriptor is gone")
			}
		})
	}
}

// TestWithoutPidfdGetfdAClosedSocketIsFoundByItsAbsenceFromTheTables denies pidfd_getfd. Only the
// links in /proc/PID/fd and the tables can be read then.
func TestWithoutPidfdGetfdAClosedSocketIsFoundByItsAbsenceFromTheTables(t *testing.T) {
	e := newExecutor(t)
	p, waiting, other := newTarget(t, places[2]), newTarget(t, places[1]), newTarget(t, places[0])
	h := openHandle(t, e, p.pid())
	early := asClosed(p.socket)
	onOwnThread(func() {
		if err := denySyscall(unix.SYS_PIDFD_GETFD); err != nil {
			t.Error(err)
			return
		}
		if still, err := h.verify(t.Context(), []*closewait.Socket{early, p.socket}); err != nil || len(still) != 1 || still[0] != p.socket {
			t.Errorf("in CLOSE_WAIT: %d sockets verified, want that one; %v", len(still), err)
		}
		closed := destroySocket(h, t, p)
		foreign := asClosed(other.socket)
		still, err := h.verify(t.Context(), []*closewait.Socket{p.socket, closed, foreign})
		if err != nil || len(still) != 1 || still[0] != closed {
			t.Errorf("closed: %d sockets verified, want that one; %v", len(still), err)
		}
		nowhere := *closed
		nowhere.ID.NetNS = 1
		if still, err := h.verify(t.Context(), []*closewait.Socket{&nowhere}); err != nil || len(still) != 0 {
			t.Errorf("in a namespace without processes: %d sockets verified; %v", len(still), err)
		}
		both := []*closewait.Socket{asClosed(waiting.socket), closed}
		if absent, err := e.absentFromTables(t.Context(), both); err != nil || len(absent) != 1 || absent[0] != closed {
			t.Errorf("%d sockets are in no table, want one; %v", len(absent), err)
		}
	})
}
