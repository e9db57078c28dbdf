package kernel

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

// hideouts are leaking programs whose sockets are not where one looks first, in a network
// namespace of their own.
var hideouts = []struct {
	name  string
	flags []string
}{
	{"of one process", nil},
	{"in the table of a thread", []string{"--private-fdtable"}},
	{"of a zombie leader", []string{"--zombie-leader"}},
	{"shared with children", []string{"--children=2"}},
}

func TestVerifyKeepsTheSocketsThatAreStillHeldInCloseWait(t *testing.T) {
	h := newHands(t)
	for _, c := range hideouts {
		t.Run("sockets "+c.name, func(t *testing.T) {
			l := leaktest.Where{NetNS: true}.Start(t, append(c.flags, "--sockets=4", "--listen=127.0.0.1:0", "--listen=[::1]:0")...)
			list := socketsOf(t, l.PID)
			g := grab(t, h, l.PID)
			still, err := g.Verify(t.Context(), list)
			if err != nil || len(list) != 4 || len(still) != 4 {
				t.Fatalf("%d of %d sockets, want 4 of 4; %v", len(still), len(list), err)
			}
			if _, err := g.Shutdown(t.Context(), list[:1]); err != nil {
				t.Fatal(err)
			}
			still, err = g.Verify(t.Context(), list)
			if err != nil || len(still) != 3 || slices.Contains(still, list[0]) {
				t.Errorf("after one was shut down: %d sockets, want 3; %v", len(still), err)
			}
		})
	}
}

func TestDeedsReachSocketsWhereverTheyAre(t *testing.T) {
	h := newHands(t)
	for _, c := range hideouts {
		for _, deed := range []string{"Destroy", "Shutdown"} {
			t.Run(deed+" of sockets "+c.name, func(t *testing.T) {
				l := leaktest.Where{NetNS: true}.Start(t, append(c.flags, "--sockets=3", "--listen=[::]:0", "--connect=127.0.0.1")...)
				list := socketsOf(t, l.PID)
				counts, err := deeds[deed](grab(t, h, l.PID), t, list)
				if err != nil || counts != (closewait.SocketCounts{Done: 3}) {
					t.Errorf("%+v, %v", counts, err)
				}
				if list := socketsOf(t, l.PID); len(list) != 0 {
					t.Errorf("still in CLOSE_WAIT: %+v", list)
				}
			})
		}
	}
}

func TestSocketsOfAnotherProcessAreNotVerified(t *testing.T) {
	h := newHands(t)
	v := newVictim(t, places[0])
	other := grab(t, h, startSleep(t).Process.Pid)
	if still, err := other.Verify(t.Context(), []*closewait.Socket{v.socket}); err != nil || len(still) != 0 {
		t.Errorf("%d sockets, %v", len(still), err)
	}
	if counts, err := other.Shutdown(t.Context(), []*closewait.Socket{v.socket}); err != nil || counts != (closewait.SocketCounts{Gone: 1}) {
		t.Errorf("%+v, %v", counts, err)
	}
	stillOpen(t, v.peer)
}

func TestSocketsOfANamespaceThatNobodyLivesInAreGone(t *testing.T) {
	h := newHands(t)
	v := newVictim(t, places[0])
	v.socket.ID.NetNS = 1
	g := grab(t, h, v.pid())
	if counts, err := g.Destroy(t.Context(), []*closewait.Socket{v.socket}); err != nil || counts != (closewait.SocketCounts{Gone: 1}) {
		t.Errorf("%+v, %v", counts, err)
	}
	stillOpen(t, v.peer)
}

// TestDestroyFindsASocketThatIsBoundToAnInterface: the kernel finds such a socket only when the
// request names the interface. IPv6 connections of link-local addresses are bound to one too.
func TestDestroyFindsASocketThatIsBoundToAnInterface(t *testing.T) {
	h := newHands(t)
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "lo") })
		return err
	}}
	config.SetMultipathTCP(false)
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connect(t, listener, listener.Addr().String(), &net.Dialer{})
	g := grab(t, h, os.Getpid())
	counts, err := g.Destroy(t.Context(), socketsOf(t, os.Getpid()))
	if err != nil || counts != (closewait.SocketCounts{Done: 1}) {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestACancelledLookTouchesNothing(t *testing.T) {
	h := newHands(t)
	v := newVictim(t, places[0])
	g := grab(t, h, v.pid())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	list := []*closewait.Socket{v.socket}
	for name, err := range map[string]error{
		"verify":   second(g.verify(ctx, list)),
		"shutdown": second(g.shutdown(ctx, list)),
		"destroy":  second(g.Destroy(ctx, list)),
		"holders":  second(h.Holders(ctx, list)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	stillOpen(t, v.peer)
}
