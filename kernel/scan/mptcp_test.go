package scan_test

import (
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/truth"
	"closewait_exporter/kernel/scan"
)

// seesMPTCP reports whether a scanner sees MPTCP sockets: no table in /proc has them.
func (k scannerKind) seesMPTCP() bool { return k.cookies }

// described describes the MPTCP sockets of a program, as the program and as a scanner see them.
// Unaccepted ones have no cookie that the program could know.
func (v view) described(l *leaktest.Leak) (want, got []string) {
	v.t.Helper()
	describe := func(state closewait.State, local, remote fmt.Stringer, inode, cookie uint64) string {
		return fmt.Sprintf("%v: %v to %v, inode %d, cookie %x", state, local, remote, inode, cookie)
	}
	states := map[truth.Kind]closewait.State{truth.Closed: closewait.Closed, truth.FinWait2: closewait.FinWait2, truth.Unconnected: closewait.Unconnected}
	for _, s := range l.Sockets {
		if state := states[s.Kind]; v.kind.seesMPTCP() && (v.Complete.Has(state) || s.Was != "") { // CLOSE_WAIT is 0
			want = append(want, describe(state, s.Local, s.Remote, s.Inode, s.Cookie))
		}
	}
	if h := v.find(l.PID); h != nil {
		for _, s := range slices.Concat(h.Ended.Sockets, h.Unaccepted.Sockets, h.Other.Sockets) {
			if !s.MPTCP {
				v.t.Errorf("not of MPTCP: %+v", s)
			}
			cookie := s.ID.Cookie
			if !s.Accepted() {
				cookie = 0
			}
			got = append(got, describe(s.State, s.Local, s.Remote, s.Inode, cookie))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	return want, got
}

func TestMPTCPSocketsOfEachStateAreReported(t *testing.T) {
	hosttest.Require(t)
	leaktest.RequireMPTCP(t)
	for name, where := range map[string]leaktest.Where{"here": {}, "in a network namespace": {NetNS: true}} {
		for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
			t.Run(name+" on "+address, func(t *testing.T) {
				l := where.Start(t, "--mptcp", "--listen="+address, "--sockets=6", "--unread=none", "--unread=fin", "--unread=7",
					"--unaccepted=2", "--outbound=1", "--fin-wait2=2", "--closed=1", "--refused=1", "--bare=1")
				withEachScanner(t, func(t *testing.T, kind scannerKind) {
					scanner := openTracked(t, kind, scan.Options{})
					v := scanner.await(func(v view) (bool, string) { // the kernel changes states in a worker
						want, got := v.described(l)
						return slices.Equal(want, got), fmt.Sprintf("reported %q, want %q", got, want)
					})
					if h := v.find(l.PID); h != nil {
						unreadOfMPTCP(t, kind, h)
					} else if kind.seesMPTCP() {
						t.Error("nothing is seen")
					}
					if n := len(v.Ownerless); n != 0 {
						t.Errorf("%d without a holder: %+v", n, v.Ownerless[0])
					}
				})
			})
		}
	}
}

// unreadOfMPTCP checks that what is said about unread bytes is right: whether the end was read is
// never known, and bytes only by BPF.
func unreadOfMPTCP(t *testing.T, kind scannerKind, h *closewait.Holder) {
	t.Helper()
	want, bytes := [...]int{closewait.UnreadNone: 0, closewait.UnreadFIN: 0, closewait.UnreadData: 0}, uint64(0)
	if !kind.walks {
		data := 2
		for _, s := range h.Ended.Sockets {
			if s.Direction == closewait.Outbound && s.RecvQueue > 0 { // --unread goes on with it
				data++
			}
		}
		want[closewait.UnreadData], bytes = data, 7*uint64(data)
	}
	if h.Ended.Unread != want || h.Ended.UnreadBytes != bytes {
		t.Errorf("unread none, fin, data %v, %d bytes, want %v and %d", h.Ended.Unread, h.Ended.UnreadBytes, want, bytes)
	}
}

func TestAnMPTCPSocketStaysTheSameThroughAcceptAndReset(t *testing.T) {
	hosttest.Require(t)
	leaktest.RequireMPTCP(t)
	for _, kind := range scannerKinds {
		if !kind.seesMPTCP() {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			listener := listen(t, "127.0.0.1:0", func(c *net.ListenConfig) { c.SetMultipathTCP(true) })
			dialer := &net.Dialer{}
			dialer.SetMultipathTCP(true)
			client, err := dialer.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := client.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
			var first *closewait.Socket
			scanner.await(func(v view) (bool, string) {
				if h := v.find(os.Getpid()); h != nil && h.Unaccepted.Len() == 1 {
					first = h.Unaccepted.Sockets[0]
				}
				return first != nil && first.Direction == closewait.Inbound, fmt.Sprintf("unaccepted: %v", v)
			})
			server, err := listener.AcceptTCP()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			same := func(state closewait.State) {
				t.Helper()
				scanner.await(func(v view) (bool, string) {
					h := v.find(os.Getpid())
					if h == nil || h.Ended.Len() != 1 {
						return false, fmt.Sprintf("want one in %v: %v", state, v)
					}
					s := h.Ended.Sockets[0]
					if s.ID != first.ID || !s.Since.Equal(first.Since) || s.Local != first.Local || s.Remote != first.Remote || h.Entered != 1 || h.Left != 0 {
						t.Fatalf("%+v, %d entered and %d left, which was %+v", s, h.Entered, h.Left, first)
					}
					return s.State == state, fmt.Sprintf("in %v, want %v", s.State, state)
				})
			}
			same(closewait.CloseWait)
			if err := client.(*net.TCPConn).SetLinger(0); err != nil {
				t.Fatal(err)
			}
			client.Close()
			same(closewait.Closed)
		})
	}
}

// TestAConnectionThatFellBackHasTheUserOfItsSocket: its path keeps the user that it began with.
func TestAConnectionThatFellBackHasTheUserOfItsSocket(t *testing.T) {
	hosttest.Require(t)
	leaktest.RequireMPTCP(t)
	const user = 31
	listener := listen(t, "127.0.0.1:0")
	dialer := &net.Dialer{}
	dialer.SetMultipathTCP(true)
	c := leaktest.ConnectTo(t, listener, listener.Addr().String(), dialer)
	control(t, c.Client, func(fd int) error { return unix.Fchown(fd, user, -1) })
	if err := c.Server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		if !kind.seesMPTCP() {
			t.Skip("it sees no MPTCP")
		}
		openTracked(t, kind, scan.Options{}).await(func(v view) (bool, string) {
			h := v.find(os.Getpid())
			if h == nil || h.Ended.Len() != 1 {
				return false, "not in CLOSE_WAIT"
			}
			if s := h.Ended.Sockets[0]; !s.MPTCP || s.UID != user {
				t.Fatalf("MPTCP %v of user %d, want user %d", s.MPTCP, s.UID, user)
			}
			return true, ""
		})
	})
}
