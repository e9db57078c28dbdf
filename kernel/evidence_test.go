package kernel

import (
	"context"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

// hideouts are leaking programs whose sockets are not where one looks first.
var hideouts = []struct {
	name  string
	where leaktest.Where
	flags []string
}{
	{"of one process", apart, nil},
	{"in the table of a thread", apart, []string{"--private-fdtable"}},
	{"of a zombie leader", leaktest.Where{}, []string{"--zombie-leader"}}, // it shows no namespace
	{"shared with children", apart, []string{"--children=2"}},
}

var apart = leaktest.Where{NetNS: true}

func TestVerifyKeepsTheSocketsThatAreStillHeldInCloseWait(t *testing.T) {
	h := newHands(t)
	for _, c := range hideouts {
		t.Run("sockets "+c.name, func(t *testing.T) {
			l := c.where.Start(t, append(c.flags, "--sockets=4", "--listen=127.0.0.1:0", "--listen=[::1]:0")...)
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

func TestHoldersAreFoundAfresh(t *testing.T) {
	h := newHands(t)
	for _, c := range hideouts {
		t.Run("sockets "+c.name, func(t *testing.T) {
			l := c.where.Start(t, append(c.flags, "--sockets=3")...)
			list := socketsOf(t, l.PID)
			found, err := h.Holders(t.Context(), list)
			if err != nil || len(list) != 3 || len(found.Of) != 3 {
				t.Fatalf("%d of %d sockets, want 3 of 3; %v", len(found.Of), len(list), err)
			}
			for _, s := range list {
				want := []closewait.ProcessID{idOf(t, l.PID)}
				for _, pid := range l.Children {
					want = append(want, idOf(t, pid))
				}
				slices.SortFunc(want, func(a, b closewait.ProcessID) int { return a.PID - b.PID })
				if !slices.Equal(found.Of[s.ID], want) {
					t.Errorf("holders of %v: %v, want %v", s.Local, found.Of[s.ID], want)
				}
			}
			if !found.Complete {
				t.Error("some process could not be looked into")
			}
			l.Stop()
			if found, err := h.Holders(t.Context(), list); err != nil || len(found.Of) != 0 {
				t.Errorf("after the end of the program: %v, %v", found.Of, err)
			}
		})
	}
}

func TestHoldersAreIncompleteWhereProcessesMayNotBeLookedInto(t *testing.T) {
	h := newHands(t)
	v := newVictim(t, places[0])
	other := exec.Command("sleep", "1000")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	onThread(func() {
		if err := drop(unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_DAC_OVERRIDE); err != nil {
			t.Error(err)
			return
		}
		found, err := h.Holders(t.Context(), []*closewait.Socket{v.socket})
		if err != nil || found.Complete {
			t.Errorf("%+v, %v, want them incomplete", found, err)
		}
	})
}

func TestDeedsReachSocketsWhereverTheyAre(t *testing.T) {
	h := newHands(t)
	for _, c := range hideouts {
		for _, deed := range []string{"Destroy", "Shutdown"} {
			t.Run(deed+" of sockets "+c.name, func(t *testing.T) {
				l := c.where.Start(t, append(c.flags, "--sockets=3", "--listen=[::]:0", "--connect=127.0.0.1")...)
				list := socketsOf(t, l.PID)
				toll, err := deeds[deed](grab(t, h, l.PID), t, list)
				if err != nil || toll != (Toll{Done: 3}) {
					t.Errorf("%+v, %v", toll, err)
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
	if toll, err := other.Shutdown(t.Context(), []*closewait.Socket{v.socket}); err != nil || toll != (Toll{Gone: 1}) {
		t.Errorf("%+v, %v", toll, err)
	}
	stillOpen(t, v.peer)
}

func TestSocketsOfANamespaceThatNobodyLivesInAreGone(t *testing.T) {
	h := newHands(t)
	v := newVictim(t, places[0])
	v.socket.ID.NetNS = 1
	g := grab(t, h, v.pid())
	if toll, err := g.Destroy(t.Context(), []*closewait.Socket{v.socket}); err != nil || toll != (Toll{Gone: 1}) {
		t.Errorf("%+v, %v", toll, err)
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
	toll, err := g.Destroy(t.Context(), socketsOf(t, os.Getpid()))
	if err != nil || toll != (Toll{Done: 1}) {
		t.Errorf("%+v, %v", toll, err)
	}
}

// TestWithoutPidfdGetfdTheTablesDecide runs where a seccomp filter forbids pidfd_getfd, as that of
// systemd 252 does.
func TestWithoutPidfdGetfdTheTablesDecide(t *testing.T) {
	h := newHands(t)
	at := places[2]
	v, closed := newVictim(t, at), newVictim(t, at)
	g := grab(t, h, v.pid())
	renamed := *v.socket
	renamed.ID.Cookie++
	foreign := closed.socket
	onThread(func() {
		if err := forbid(unix.SYS_PIDFD_GETFD); err != nil {
			t.Error(err)
			return
		}
		still, err := g.verify(t.Context(), []*closewait.Socket{&renamed, v.socket, foreign})
		if err != nil || len(still) != 1 || still[0] != v.socket {
			t.Errorf("%d sockets verified, want one; %v", len(still), err)
		}
		if toll, err := g.shutdown(t.Context(), []*closewait.Socket{v.socket}); !denied(err) || toll.Failed != 1 {
			t.Errorf("shutdown: %+v, %v, want a denial", toll, err)
		}
		if err := h.lacksGetfd(); !denied(err) {
			t.Errorf("the self-test says %v, want a denial", err)
		}
		if toll, err := g.Destroy(t.Context(), []*closewait.Socket{v.socket}); err != nil || toll.Done != 1 {
			t.Errorf("destroy: %+v, %v", toll, err)
		}
		if still, err := g.verify(t.Context(), []*closewait.Socket{v.socket}); err != nil || len(still) != 0 {
			t.Errorf("after destroy: %d sockets, %v", len(still), err)
		}
	})
}

// TestAMultipathSocketIsVerifiedByTheTables: an MPTCP socket that has fallen back to TCP, as its peer knows
// nothing else, has another cookie than the TCP socket below it, which stands in the tables.
func TestAMultipathSocketIsVerifiedByTheTables(t *testing.T) {
	h := newHands(t)
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
	g := grab(t, h, os.Getpid())
	var list []*closewait.Socket
	leaktest.Eventually(t, soon, func() (bool, string) {
		list = socketsOf(t, os.Getpid())
		return len(list) == 1, strconv.Itoa(len(list)) + " sockets in CLOSE_WAIT, want one"
	})
	if still, err := g.Verify(t.Context(), list); err != nil || len(still) != 1 {
		t.Errorf("%d sockets verified, want one; %v", len(still), err)
	}
	if toll, err := g.Shutdown(t.Context(), list); err == nil || toll.Failed != 1 {
		t.Errorf("shutdown: %+v, %v, want a refusal", toll, err)
	}
	// Kernels differ in whether they permit it; none does half of it.
	if toll, err := g.Destroy(t.Context(), list); toll.Done+toll.Failed != 1 || (err == nil) != (toll.Done == 1) {
		t.Errorf("destroy: %+v, %v", toll, err)
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
