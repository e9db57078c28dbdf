package action

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

func TestAnActionEndsTheConnectionAndLeavesTheDescriptorOpen(t *testing.T) {
	e := newExecutor(t)
	for name, peerGets := range map[string]error{"Destroy": syscall.ECONNRESET, "Shutdown": io.EOF} {
		for _, at := range places {
			t.Run(name+", "+at.name, func(t *testing.T) {
				p := newTarget(t, at)
				h, list := openHandle(t, e, p.pid()), []*closewait.Socket{p.socket}
				if counts, err := socketActions[name](h, t, list); err != nil || counts != (closewait.SocketCounts{Done: 1}) {
					t.Fatalf("%+v, %v", counts, err)
				}
				if err := p.peerReadError(t); !errors.Is(err, peerGets) {
					t.Errorf("the peer gets %v, want %v", err, peerGets)
				}
				if !p.holdsSocket(t) {
					t.Error("the descriptor is gone")
				}
				if counts, err := socketActions[name](h, t, list); err != nil || counts != (closewait.SocketCounts{Gone: 1}) {
					t.Errorf("again: %+v, %v", counts, err)
				}
			})
		}
	}
}

// socketActions are the methods of a ProcessHandle that take sockets, by name.
var socketActions = map[string]func(*ProcessHandle, *testing.T, []*closewait.Socket) (closewait.SocketCounts, error){
	"Destroy": func(h *ProcessHandle, t *testing.T, list []*closewait.Socket) (closewait.SocketCounts, error) {
		return h.Destroy(t.Context(), list)
	},
	"Shutdown": func(h *ProcessHandle, t *testing.T, list []*closewait.Socket) (closewait.SocketCounts, error) {
		return h.Shutdown(t.Context(), list)
	},
	"Verify": func(h *ProcessHandle, t *testing.T, list []*closewait.Socket) (closewait.SocketCounts, error) {
		still, err := h.Verify(t.Context(), list)
		return closewait.SocketCounts{Done: len(still), Gone: len(list) - len(still)}, err
	},
}

func TestASocketThatIsNotTheOneThatWasSeenIsLeftAlone(t *testing.T) {
	e := newExecutor(t)
	at := places[0]
	for _, c := range []struct {
		name   string
		change func(*closewait.Socket)
	}{
		{"another cookie", func(s *closewait.Socket) { s.ID.Cookie++ }},
		{"another inode", func(s *closewait.Socket) { s.Inode++ }},
		{"no cookie known, another remote port", func(s *closewait.Socket) {
			s.Remote = otherPort(s.Remote)
			s.ID = closewait.TupleID(s.ID.NetNS, s.Local, s.Remote, s.Inode)
		}},
		{"not accepted", func(s *closewait.Socket) { s.Inode = 0 }},
	} {
		for name, do := range socketActions {
			t.Run(name+": "+c.name, func(t *testing.T) {
				p := newTarget(t, at)
				c.change(p.socket)
				counts, err := do(openHandle(t, e, p.pid()), t, []*closewait.Socket{p.socket})
				if err != nil || counts != (closewait.SocketCounts{Gone: 1}) {
					t.Errorf("%+v, %v", counts, err)
				}
				requireUntouched(t, p.peer)
			})
		}
	}
}

func TestASocketWithoutAKnownCookieIsFoundByItsAddresses(t *testing.T) {
	e := newExecutor(t)
	for _, at := range places {
		for name, do := range socketActions {
			t.Run(name+", "+at.name, func(t *testing.T) {
				p := newTarget(t, at)
				p.socket.ID = closewait.TupleID(p.socket.ID.NetNS, p.socket.Local, p.socket.Remote, p.socket.Inode)
				counts, err := do(openHandle(t, e, p.pid()), t, []*closewait.Socket{p.socket})
				if err != nil || counts != (closewait.SocketCounts{Done: 1}) {
					t.Errorf("%+v, %v", counts, err)
				}
			})
		}
	}
}

// TestNoForeignSocketIsDestroyedWhenPortsAreUsedAgain closes a connection after it was scanned and
// before the request, and makes another connection with the same addresses.
func TestNoForeignSocketIsDestroyedWhenPortsAreUsedAgain(t *testing.T) {
	e := newExecutor(t)
	conn, err := sockdiag.NewConn()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h := openHandle(t, e, syscall.Getpid())
	for _, at := range places {
		t.Run(at.name, func(t *testing.T) {
			r := newReconnector(t, at)
			for range 200 {
				before := r.reconnect(t)
				row := rowOf(t, before)
				after := r.reconnect(t)
				if before.Local != after.Local || before.Remote != after.Remote || before.ID == after.ID {
					t.Fatalf("%+v and %+v, want the same addresses and other cookies", before, after)
				}
				if err := conn.Destroy(&row); !errors.Is(err, unix.ENOENT) {
					t.Fatalf("destroy a closed socket: %v", err)
				}
				for name, do := range socketActions {
					if counts, err := do(h, t, []*closewait.Socket{before}); err != nil || counts != (closewait.SocketCounts{Gone: 1}) {
						t.Fatalf("%s: %+v, %v", name, counts, err)
					}
				}
				requireUntouched(t, r.Client)
			}
		})
	}
}

// reconnector makes the same connection again and again.
type reconnector struct {
	*leaktest.Connection // nil before the first

	at       place
	listener *net.TCPListener
	dialer   net.Dialer
}

func newReconnector(t *testing.T, at place) *reconnector {
	t.Helper()
	return &reconnector{at: at, listener: leaktest.Listen(t, at.network, at.listen)}
}

// reconnect resets the connection, so that its addresses are free at once, and makes it again.
func (r *reconnector) reconnect(t *testing.T) *closewait.Socket {
	t.Helper()
	if r.Connection != nil {
		r.dialer.LocalAddr = r.Client.LocalAddr()
		_ = r.Client.SetLinger(0)
		_ = r.Client.Close()
		_ = r.Server.SetLinger(0)
		_ = r.Server.Close()
	}
	r.Connection = r.at.connectTo(t, r.listener, &r.dialer)
	live := kerneltest.Describe(t, r.Server)
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	return &closewait.Socket{Facts: closewait.Facts{
		ID: closewait.CookieID(h.OwnNetNS.ID, live.Cookie), Local: live.Local, Remote: live.Remote, Inode: live.Inode,
	}}
}

func rowOf(t *testing.T, s *closewait.Socket) sockdiag.Row {
	t.Helper()
	rows, err := tableRows(t.Context(), []*closewait.Socket{s})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows[s]
}
