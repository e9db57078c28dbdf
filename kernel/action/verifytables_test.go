package action

import (
	"net"
	"os"
	"strconv"
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

// TestAMultipathSocketIsVerifiedByTheTables has an MPTCP socket that has fallen back to TCP,
// because its peer knows only TCP. Its cookie differs from the cookie of the TCP socket below it,
// which is the one in the tables.
func TestAMultipathSocketIsVerifiedByTheTables(t *testing.T) {
	e := newExecutor(t)
	if on, _ := os.ReadFile("/proc/sys/net/mptcp/enabled"); len(on) == 0 || on[0] != '1' {
		t.Skip("the kernel has no MPTCP, or it is switched off")
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var dialer net.Dialer
	dialer.SetMultipathTCP(true)
	client, err := dialer.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	h := openHandle(t, e, os.Getpid())
	var list []*closewait.Socket
	leaktest.Eventually(t, soon, func() (bool, string) {
		list = closeWaitSocketsOf(t, os.Getpid())
		return len(list) == 1, strconv.Itoa(len(list)) + " sockets in CLOSE_WAIT, want one"
	})
	if still, err := h.Verify(t.Context(), list); err != nil || len(still) != 1 {
		t.Errorf("%d sockets verified, want one; %v", len(still), err)
	}
	if counts, err := h.Shutdown(t.Context(), list); err == nil || counts.Failed != 1 {
		t.Errorf("shutdown: %+v, %v, want a refusal", counts, err)
	}
	// Some kernels permit it and some do not, but the counts and the error must agree.
	if counts, err := h.Destroy(t.Context(), list); counts.Done+counts.Failed != 1 || (err == nil) != (counts.Done == 1) {
		t.Errorf("destroy: %+v, %v", counts, err)
	}
}
