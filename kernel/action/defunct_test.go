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
func (v target) resetByPeer(t *testing.T) *closewait.Socket {
	t.Helper()
	if err := v.peer.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = v.peer.Close()
	leaktest.Eventually(t, soon, func() (bool, string) { return len(closeWaitSocketsOf(t, v.pid())) == 0, "it is still in CLOSE_WAIT" })
	return asDefunct(v.socket)
}

// waysToBecomeDefunct are ways in which a socket becomes defunct.
var waysToBecomeDefunct = map[string]func(*ProcessHandle, *testing.T, target) *closewait.Socket{
	"reset by its peer": func(_ *ProcessHandle, t *testing.T, v target) *closewait.Socket { return v.resetByPeer(t) },
	"destroyed":         destroySocket,
}

// destroySocket destroys the socket of a target, and returns the defunct socket.
func destroySocket(h *ProcessHandle, t *testing.T, v target) *closewait.Socket {
	t.Helper()
	if counts, err := h.Destroy(t.Context(), []*closewait.Socket{v.socket}); err != nil || counts != (closewait.SocketCounts{Done: 1}) {
		t.Fatalf("%+v, %v", counts, err)
	}
	return asDefunct(v.socket)
}

func TestADefunctSocketIsVerifiedAsSuchAndOnlyAsSuch(t *testing.T) {
	e := newExecutor(t)
	for way, makeDefunct := range waysToBecomeDefunct {
		for _, at := range places {
			t.Run(way+", "+at.name, func(t *testing.T) {
				v := newTarget(t, at)
				h := openHandle(t, e, v.pid())
				early := asDefunct(v.socket)
				if still, err := h.Verify(t.Context(), []*closewait.Socket{early}); err != nil || len(still) != 0 {
					t.Errorf("in CLOSE_WAIT, but %d are verified as defunct; %v", len(still), err)
				}
				defunct := makeDefunct(h, t, v)
				renamed, anonymous := *defunct, *defunct
				renamed.ID.Cookie++
				anonymous.ID = closewait.TupleID(anonymous.ID.NetNS, anonymous.Local, anonymous.Remote, anonymous.Inode)
				elsewhere := anonymous
				elsewhere.Local = otherPort(elsewhere.Local)
				still, err := h.Verify(t.Context(), []*closewait.Socket{v.socket, &renamed, defunct, &anonymous, &elsewhere})
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
			v, waiting := newTarget(t, places[0]), newTarget(t, places[0])
			h := openHandle(t, e, v.pid())
			defunct := destroySocket(h, t, v)
			counts, err := socketActions[name](h, t, []*closewait.Socket{defunct})
			if err != nil || counts != (closewait.SocketCounts{Defunct: 1}) {
				t.Errorf("%+v, %v", counts, err)
			}
			counts, err = socketActions[name](openHandle(t, e, waiting.pid()), t, []*closewait.Socket{defunct, waiting.socket})
			if err != nil || counts != (closewait.SocketCounts{Done: 1, Defunct: 1}) {
				t.Errorf("beside another: %+v, %v", counts, err)
			}
			if !v.holdsSocket(t) {
				t.Error("the descriptor is gone")
			}
		})
	}
}

// TestWithoutPidfdGetfdADefunctSocketIsOneThatNoTableHas denies pidfd_getfd. The link in
// /proc/PID/fd and the tables are the only evidence then.
func TestWithoutPidfdGetfdADefunctSocketIsOneThatNoTableHas(t *testing.T) {
	e := newExecutor(t)
	v, waiting, closed := newTarget(t, places[2]), newTarget(t, places[1]), newTarget(t, places[0])
	h := openHandle(t, e, v.pid())
	early := asDefunct(v.socket)
	onOwnThread(func() {
		if err := denySyscall(unix.SYS_PIDFD_GETFD); err != nil {
			t.Error(err)
			return
		}
		if still, err := h.verify(t.Context(), []*closewait.Socket{early, v.socket}); err != nil || len(still) != 1 || still[0] != v.socket {
			t.Errorf("in CLOSE_WAIT: %d sockets verified, want that one; %v", len(still), err)
		}
		defunct := destroySocket(h, t, v)
		foreign := asDefunct(closed.socket)
		still, err := h.verify(t.Context(), []*closewait.Socket{v.socket, defunct, foreign})
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
