package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// TestWithoutPidfdGetfdTheTablesDecide denies pidfd_getfd, as a seccomp filter of systemd 252 does.
func TestWithoutPidfdGetfdTheTablesDecide(t *testing.T) {
	e := newExecutor(t)
	at := places[2]
	p, other := newTarget(t, at), newTarget(t, at)
	h := openHandle(t, e, p.pid())
	renamed := *p.socket
	renamed.ID.Cookie++
	foreign := other.socket
	onOwnThread(func() {
		if err := denySyscall(unix.SYS_PIDFD_GETFD); err != nil {
			t.Error(err)
			return
		}
		still, err := h.verify(t.Context(), []*closewait.Socket{&renamed, p.socket, foreign})
		if err != nil || len(still) != 1 || still[0] != p.socket {
			t.Errorf("%d sockets verified, want one; %v", len(still), err)
		}
		if counts, err := h.shutdown(t.Context(), []*closewait.Socket{p.socket}); !host.Denied(err) || counts.Failed != 1 {
			t.Errorf("shutdown: %+v, %v, want a denial", counts, err)
		}
		if err := e.checkGetfd(); !host.Denied(err) {
			t.Errorf("checkGetfd: %v, want a denial", err)
		}
		if counts, err := h.Destroy(t.Context(), []*closewait.Socket{p.socket}); err != nil || counts.Done != 1 {
			t.Errorf("destroy: %+v, %v", counts, err)
		}
		if still, err := h.verify(t.Context(), []*closewait.Socket{p.socket}); err != nil || len(still) != 0 {
			t.Errorf("after destroy: %d sockets, %v", len(still), err)
		}
	})
}

// TestMPTCPSocketsAreVerifiedAndShutDown has a connection of MPTCP at both ends, and one that has
// fallen back to TCP because its peer knows only TCP.
func TestMPTCPSocketsAreVerifiedAndShutDown(t *testing.T) {
	leaktest.RequireMPTCP(t)
	e := newExecutor(t)
	h := openHandle(t, e, os.Getpid())
	for name, atServer := range map[string]bool{"at both ends": true, "fallen back": false} {
		t.Run(name, func(t *testing.T) {
			c := halfClosedMPTCP(t, atServer)
			var list []*closewait.Socket
			leaktest.Eventually(t, soon, func() (bool, string) {
				list = closeWaitSocketsOf(t, os.Getpid())
				return len(list) == 1 && list[0].MPTCP, fmt.Sprintf("in CLOSE_WAIT: %+v, want one of MPTCP", list)
			})
			closed := *list[0]
			closed.State = closewait.Closed
			other := *list[0]
			other.ID.Cookie++
			for what, verify := range map[string]func(context.Context, []*closewait.Socket) ([]*closewait.Socket, error){"by descriptor": h.Verify, "by the tables": h.verifyByTables} {
				if still, err := verify(t.Context(), []*closewait.Socket{list[0]}); err != nil || len(still) != 1 {
					t.Errorf("%s: %d sockets verified, want one; %v", what, len(still), err)
				}
				if still, err := verify(t.Context(), []*closewait.Socket{&closed, &other}); err != nil || len(still) != 0 {
					t.Errorf("%s: %v verified in another state or with another cookie, %v", what, still, err)
				}
			}
			if counts, err := h.Destroy(t.Context(), list); !errors.Is(err, errMPTCPNotDestroyed) || counts.Failed != 1 {
				t.Errorf("destroy: %+v, %v, want a refusal", counts, err)
			}
			if counts, err := h.Shutdown(t.Context(), []*closewait.Socket{&other}); err != nil || counts.Gone != 1 {
				t.Errorf("shutdown with another cookie: %+v, %v, want it to be gone", counts, err)
			}
			if counts, err := h.Shutdown(t.Context(), list); err != nil || counts.Done != 1 {
				t.Errorf("shutdown: %+v, %v", counts, err)
			}
			if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("the peer has read %d bytes, %v, want the end", n, err)
			}
			leaktest.Eventually(t, soon, func() (bool, string) {
				still, err := h.Verify(t.Context(), list)
				return err == nil && len(still) == 0, fmt.Sprintf("after shutdown: %d sockets, %v", len(still), err)
			})
		})
	}
}

// halfClosedMPTCP makes a connection whose client, in the end in CLOSE_WAIT, uses MPTCP. It returns
// the server's end.
func halfClosedMPTCP(t *testing.T, atServer bool) *net.TCPConn {
	t.Helper()
	listener := leaktest.Listen(t, "tcp4", "127.0.0.1:0", func(c *net.ListenConfig) { c.SetMultipathTCP(atServer) })
	dialer := &net.Dialer{}
	dialer.SetMultipathTCP(true)
	c := leaktest.ConnectTo(t, listener, listener.Addr().String(), dialer)
	if err := c.Server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return c.Server
}
