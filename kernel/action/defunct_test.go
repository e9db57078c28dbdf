package action

import (
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

// asDefunct returns the socket as a scan reports it once it is defunct.
func asDefunct(s *closewait.Socket) *closewait.Socket {
	after := *s
	after.Defunct = true
	return &after
}

// resetByPeer makes the peer reset the connection of a target, and returns the defunct socket.
func (p target) resetByPeer(t *testing.T) *closewait.Socket {
	t.Helper()
	if err := p.peer.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = p.peer.Close()
	leaktest.Eventually(t, soon, func() (bool, string) { return len(closeWaitSocketsOf(t, p.pid())) == 0, "it is still in CLOSE_WAIT" })
	return asDefunct(p.socket)
}

// waysToBecomeDefunct are ways in which a socket becomes defunct.
var waysToBecomeDefunct = map[string]func(*ProcessHandle, *testing.T, target) *closewait.Socket{
	"reset by its peer": func(_ *ProcessHandle, t *testing.T, p target) *closewait.Socket { return p.resetByPeer(t) },
	"destroyed":         destroySocket,
}

// destroySocket destroys the socket of a target, and returns the defunct socket.
func destroySocket(h *ProcessHandle, t *testing.T, p target) *closewait.Socket {
	t.Helper()
	if counts, err := h.Destroy(t.Context(), []*closewait.Socket{p.socket}); err != nil || counts != (closewait.SocketCounts{Done: 1}) {
		t.Fatalf("%+v, %v", counts, err)
	}
	return asDefunct(p.socket)
}

func TestADefunctSocketIsVerifiedAsSuchAndOnlyAsSuch(t *testing.T) {
	e := newExecutor(t)
	for way, makeDefunct := range waysToBecomeDefunct {
		for _, at := range places {
			t.Run(way+", "+at.name, func(t *testing.T) {
				p := newTarget(t, at)
				h := openHandle(t, e, p.pid())
				early := asDefunct(p.socket) // it still is in CLOSE_WAIT
				if still, err := h.Verify(t.Context(), []*closewait.Socket{early}); err != nil || len(still) != 0 {
					t.Errorf("in CLOSE_WAIT, but %d are verified as defunct; %v", len(still), err)
				}
				defunct := makeDefunct(h, t, p)
				renamed, anonymous := *defunct, *defunct
				renamed.ID.Cookie++
				anonymous.ID = closewait.TupleID(anonymous.ID.NetNS, anonymous.Local, anonymous.Remote, anonymous.Inode)
				elsewhere := anonymous
				elsewhere.Local = otherPort(elsewhere.Local)
				still, err := h.Verify(t.Context(), []*closewait.Socket{p.socket, &renamed, defunct, &anonymous, &elsewhere})
				if err != nil || len(still) != 2 || still[0] != defunct || still[1] != &anonymous {
					t.Errorf("%d verified, want the defunct socket, with its cookie and without; %v", len(still), err)
				}
				if holders, err := e.Holders(t.Context(), []*closewait.Socket{defunct}); err != nil || len(holders.Of[defunct.ID]) != 1 {
					t.Errorf("holders %+v, %v", holders, err)
				}
				if still, err := openHandle(t, e, startSleep(t).Process.Pid).Verify(t.Context(), []*closewait.Socket{defunct}); err != nil || len(still) != 0 {
					t.Errorf("%d verified with a process that does not hold it; %v", len(still), err)
				}
			})
		}
	}
}

func TestActionsSkipDefunctSockets(t *testing.T) {
	e := newExecutor(t)
	for _, name := range []string{"Destroy", "Shutdown"} {
		t.Run(name, func(t *testing.T) {
			p, waiting := newTarget(t, places[0]), newTarget(t, places[0])
			h := openHandle(t, e, p.pid())
			defunct := destroySocket(h, t, p)
			counts, err := socketActions[name](h, t, []*closewait.Socket{defunct})
			if err != nil || counts != (closewait.SocketCounts{Defunct: 1}) {
				t.Errorf("%+v, %v", counts, err)
			}
			counts, err = socketActions[name](openHandle(t, e, waiting.pid()), t, []*closewait.Socket{defunct, waiting.socket})
			if err != nil || counts != (closewait.SocketCounts{Done: 1, Defunct: 1}) {
				t.Errorf("beside another: %+v, %v", counts, err)
			}
			if !p.holdsSocket(t) {
				t.Error("the descriptor is gone")
			}
		})
	}
}

// TestWithoutPidfdGetfdADefunctSocketIsFoundByItsAbsenceFromTheTables denies pidfd_getfd. Only the
// links in /proc/PID/fd and the tables can be read then.
func TestWithoutPidfdGetfdADefunctSocketIsFoundByItsAbsenceFromTheTables(t *testing.T) {
	e := newExecutor(t)
	p, waiting, other := newTarget(t, places[2]), newTarget(t, places[1]), newTarget(t, places[0])
	h := openHandle(t, e, p.pid())
	early := asDefunct(p.socket)
	onOwnThread(func() {
		if err := denySyscall(unix.SYS_PIDFD_GETFD); err != nil {
			t.Error(err)
			return
		}
		if still, err := h.verify(t.Context(), []*closewait.Socket{early, p.socket}); err != nil || len(still) != 1 || still[0] != p.socket {
			t.Errorf("in CLOSE_WAIT: %d sockets verified, want that one; %v", len(still), err)
		}
		defunct := destroySocket(h, t, p)
		foreign := asDefunct(other.socket)
		still, err := h.verify(t.Context(), []*closewait.Socket{p.socket, defunct, foreign})
		if err != nil || len(still) != 1 || still[0] != defunct {
			t.Errorf("defunct: %d sockets verified, want that one; %v", len(still), err)
		}
		nowhere := *defunct
		nowhere.ID.NetNS = 1
		if still, err := h.verify(t.Context(), []*closewait.Socket{&nowhere}); err != nil || len(still) != 0 {
			t.Errorf("in a namespace without processes: %d sockets verified; %v", len(still), err)
		}
		both := []*closewait.Socket{asDefunct(waiting.socket), defunct}
		if absent, err := e.absentFromTables(t.Context(), both); err != nil || len(absent) != 1 || absent[0] != defunct {
			t.Errorf("%d sockets are in no table, want one; %v", len(absent), err)
		}
	})
}
