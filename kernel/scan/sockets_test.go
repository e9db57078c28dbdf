package scan_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/truth"
	"closewait_exporter/kernel/scan"
)

// timeout is how long a test waits for something that must happen. It only bounds a test that has
// gone wrong, so it is long enough for a loaded machine.
const timeout = 60 * time.Second

func TestSocketsOfEachFamilyAreSeenAsSsAndTheirProgramSeeThem(t *testing.T) {
	hosttest.Require(t)
	for _, c := range []struct {
		name   string
		args   []string
		family closewait.Family
	}{
		{"IPv4", []string{"--listen=127.0.0.1:0"}, closewait.IPv4},
		{"IPv4 on a wildcard listener", []string{"--listen=0.0.0.0:0"}, closewait.IPv4},
		{"IPv6", []string{"--listen=[::1]:0"}, closewait.IPv6},
		{"IPv6 on a wildcard listener", []string{"--listen=[::]:0"}, closewait.IPv6},
		{"v4-mapped", []string{"--listen=[::]:0", "--connect=127.0.0.1"}, closewait.IPv6},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := leaktest.Start(t, append(c.args, "--sockets=4", "--unaccepted=3", "--unread=none", "--unread=fin", "--unread=5")...)
			withEachScanner(t, func(t *testing.T, kind scannerKind) {
				v := openTracked(t, kind, scan.Options{}).view()
				v.agrees(l)
				want := closewait.HostSockets{}
				want[c.family][closewait.OwnedByProcess], want[c.family][closewait.OwnedByListener] = 4, 3
				if v.Sockets != want {
					t.Errorf("sockets by family and owner %v, want %v", v.Sockets, want)
				}
				if h := v.holder(l.PID); h.Ended.Len() != 4 || h.Unaccepted.Len() != 3 {
					t.Errorf("%d held and %d unaccepted, want 4 and 3", h.Ended.Len(), h.Unaccepted.Len())
				}
			})
		})
	}
}

func TestUnreadClassesAndBytesAreThoseOfTheProgram(t *testing.T) {
	l := leaktest.Start(t, "--sockets=9", "--unaccepted=2", "--unread=none", "--unread=fin", "--unread=300")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		h := openTracked(t, kind, scan.Options{}).view().holder(l.PID)
		if want := [...]int{closewait.UnreadNone: 3, closewait.UnreadFIN: 3, closewait.UnreadData: 3}; h.Ended.Unread != want {
			t.Errorf("held: unread none, fin, data %v, want %v", h.Ended.Unread, want)
		}
		if h.Ended.UnreadBytes != 900 {
			t.Errorf("%d bytes unread, want 900: the end of file is no byte", h.Ended.UnreadBytes)
		}
		if h.Unaccepted.Unread[closewait.UnreadNone] != 0 {
			t.Errorf("%v: no program can have read what was not accepted", h.Unaccepted.Unread)
		}
	})
}

func TestWhatReadingChangesIsSeenByTheNextScan(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		l := leaktest.Start(t, "--sockets=5", "--unread=10")
		scanner := openTracked(t, kind, scan.Options{})
		scanner.view()
		l.Do("read")
		if h := scanner.view().holder(l.PID); h.Ended.Unread[closewait.UnreadNone] != 5 || h.Ended.UnreadBytes != 0 {
			t.Errorf("unread %v, %d bytes, want 5 of none and 0", h.Ended.Unread, h.Ended.UnreadBytes)
		}
		l.Do("leak 2")
		l.Do("close 3")
		h := scanner.view().holder(l.PID)
		if h.Ended.Len() != 4 || h.Entered != 7 {
			t.Errorf("%d held, %d entered, want 4 and 7", h.Ended.Len(), h.Entered)
		}
		if h := scanner.view().holder(l.PID); h.Left != 3 { // missed twice
			t.Errorf("%d left, want 3", h.Left)
		}
	})
}

func TestWhatIsSentAndNotReadByThePeerIsCounted(t *testing.T) {
	const size = 16 << 20 // more than both buffers take
	c := connect(t, listen(t, "127.0.0.1:0"))
	c.HalfCloseClient()
	if err := c.Server.SetWriteDeadline(time.Now().Add(pause / 4)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Server.Write(make([]byte, size))
	if err == nil || n == 0 {
		t.Fatalf("%d bytes written, error %v", n, err)
	}
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		s := openTracked(t, kind, scan.Options{}).view().socket(netNSOf(t, os.Getpid()), c.Local(), c.Remote())
		if s.SendQueue == 0 || int(s.SendQueue) > n {
			t.Errorf("%d bytes in the send queue of %d that were written", s.SendQueue, n)
		}
		if kind.cookies && int(s.BytesAcked)+int(s.SendQueue) != n {
			t.Errorf("%d acknowledged and %d not, of %d that were written", s.BytesAcked, s.SendQueue, n)
		}
		if !s.QuietSince.IsZero() {
			t.Errorf("quiet since %v with bytes to send", s.QuietSince)
		}
	})
}

func TestTimersAreSeen(t *testing.T) {
	plain, kept := leaktest.Start(t, "--sockets=2"), leaktest.Start(t, "--sockets=2", "--keepalive")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		if a, b := v.holder(plain.PID).Ended.Keepalive, v.holder(kept.PID).Ended.Keepalive; a != 0 || b != 2 {
			t.Errorf("keepalive on %d and %d sockets, want 0 and 2", a, b)
		}
		for _, s := range v.holder(kept.PID).Ended.Sockets {
			if s.QuietSince.IsZero() {
				t.Errorf("keepalive makes %v restless", s.Local)
			}
		}
	})
}

func TestOnlyEndedSocketsCount(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=1", "--established=5", "--closed=4", "--stream=2")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		v.agreesWithTruth(l)
		want := 3
		if v.Complete.Has(closewait.Closed) {
			want += 4
		}
		if total := v.Sockets.Total(); total != want {
			t.Errorf("%d sockets, want 1 leaked, 2 streams and the closed ones that it sees: %d", total, want)
		}
	})
}

func TestConnectionsAreInboundOrOutbound(t *testing.T) {
	l := leaktest.Start(t, "--sockets=3", "--outbound=2", "--listen=127.0.0.1:0", "--listen=[::1]:0")
	inbound, outbound, unknown := map[uint16]int{}, map[uint16]int{}, 0
	for _, s := range l.Sockets {
		if s.Kind == truth.Outbound {
			outbound[s.Remote.Port()]++
			unknown++
		} else {
			inbound[s.Local.Port()]++
		}
	}
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		h := openTracked(t, e, scan.Options{}).view().holder(l.PID)
		want := map[closewait.Direction]map[uint16]int{closewait.Inbound: inbound, closewait.Outbound: outbound}
		if e.name == scan.ScannerProcFS { // a table of /proc does not show who has opened a connection
			want = map[closewait.Direction]map[uint16]int{closewait.Inbound: inbound, closewait.UnknownDirection: {0: unknown}}
		}
		got := map[closewait.Direction]map[uint16]int{}
		for _, service := range h.Ended.Services {
			if got[service.Direction] == nil {
				got[service.Direction] = map[uint16]int{}
			}
			got[service.Direction][service.Port] = service.Sockets
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sockets by direction and port (-want +got):\n%s", diff)
		}
	})
}

func TestAConnectionStaysInboundWhenItsListenerHasClosed(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		listener := listen(t, "127.0.0.1:0")
		c := connect(t, listener)
		c.CloseClient()
		ns := netNSOf(t, os.Getpid())
		scanner := openTracked(t, kind, scan.Options{})
		scanner.view()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		if s := scanner.view().socket(ns, c.Local(), c.Remote()); s.Direction != closewait.Inbound || s.Port() != c.Local().Port() {
			t.Errorf("%v, service port %d, want inbound, %d", s.Direction, s.Port(), c.Local().Port())
		}
	})
}
