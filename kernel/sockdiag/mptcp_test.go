package sockdiag

import (
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// mptcpInfo is struct mptcp_info of Linux 6.18 for encoding/binary.
type mptcpInfo struct {
	_                                            [8]byte
	Flags, Token                                 uint32
	WriteSeq, SndUna, RcvNxt                     uint64
	_                                            [4]byte
	Retransmits                                  uint32
	Retransmitted, Sent, Received, Acked         uint64
	_                                            [4]byte
	LastDataSent, LastDataReceived, LastReceived uint32
}

func TestRowsOfMPTCPAreParsed(t *testing.T) {
	some := mptcpInfo{
		Token: 9, WriteSeq: 1<<60 + 107, SndUna: 1<<60 + 100, RcvNxt: 8, Retransmitted: 4 << 40, Sent: 3 << 40, Received: 2 << 40, Acked: 1 << 40,
		LastDataSent: 1001, LastDataReceived: 1002, LastReceived: 1003,
	}
	msg := encode(t, closeWaitMsg(syscall.AF_INET))
	var plain Row
	if err := parseRow(msg, &plain); err != nil {
		t.Fatal(err)
	}
	plain.MPTCP, plain.RecvQueue = true, 0
	linux58 := plain
	linux58.SendQueue = 7
	linux65 := linux58
	linux65.BytesSent, linux65.BytesRetransmitted, linux65.BytesAcked, linux65.BytesReceived = 3<<40, 4<<40, 1<<40, 2<<40
	linux610 := linux65
	linux610.HasInfo, linux610.LastDataSent, linux610.LastDataRecv, linux610.LastAckRecv = true, 1001, 1002, 1003
	fallback := linux65
	fallback.Fallback = true
	info := encode(t, some)
	some.Flags = 3
	for name, test := range map[string]struct {
		info []byte
		want Row
	}{
		"today":                            {info, linux610},
		"tomorrow":                         {append(slices.Clone(info), "more"...), linux610},
		"before the times (6.9)":           {info[:84], linux65},
		"cut within the last time":         {info[:95], linux65},
		"before the numbers of bytes":      {info[:44], linux58},
		"fallen back to TCP":               {encode(t, some), fallback},
		"fallen back, on an older kernel":  {encode(t, some)[:84], fallback},
		"cut within the sequence numbers ": {info[:16], func() Row { r := plain; r.SendQueue = 0; return r }()},
	} {
		t.Run(name, func(t *testing.T) {
			row := Row{Family: 99, HasInfo: true, Fallback: true}
			if err := parseMPTCP(slices.Concat(msg, attribute(t, 2, test.info)), &row); err != nil || row != test.want {
				t.Errorf("got  %+v, %v\nwant %+v", row, err, test.want)
			}
		})
	}
}

// TestAnMPTCPSocketHasOneRowAndAState has a connection of MPTCP whose client has closed. The TCP
// socket below it is still established.
func TestAnMPTCPSocketHasOneRowAndAState(t *testing.T) {
	leaktest.RequireMPTCP(t)
	c := mptcpConnection(t)
	cookie := cookieOf(t, c.Server)
	if _, err := c.Client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	c.CloseClient()
	var rows []Row
	if malformed, err := NewDumper(host.TCPCloseWait, host.TCPFinWait2, host.TCPListen).Dump(t.Context(), func(row *Row) {
		if row.Local == c.Local() && row.Remote == c.Remote() {
			rows = append(rows, *row)
		}
	}); err != nil || malformed > 0 {
		t.Fatal(malformed, err)
	}
	if len(rows) != 1 {
		t.Fatalf("rows %+v, want one", rows)
	}
	row := rows[0]
	if row.State != host.TCPCloseWait || !row.MPTCP || row.Fallback || row.Cookie != cookie || row.Inode == 0 || row.RecvQueue != 0 || row.SendQueue != 0 {
		t.Errorf("%+v, want cookie %d in CLOSE_WAIT", row, cookie)
	}
	if row.HasInfo && (row.BytesReceived != 5 || row.LastAckRecv > 60_000) {
		t.Errorf("%+v, want 5 bytes received", row)
	}
	facts := closewait.Facts{ID: closewait.CookieID(1, row.Cookie), Local: row.Local, Remote: row.Remote, Inode: uint64(row.Inode), MPTCP: true}
	if state := stateOf(t, &facts); state != host.TCPCloseWait {
		t.Errorf("state %d, want CLOSE_WAIT", state)
	}
	other := facts
	other.ID.Cookie++
	if state := stateOf(t, &other); state != host.TCPNone {
		t.Errorf("state %d of another cookie", state)
	}
	if err := c.Server.Close(); err != nil {
		t.Fatal(err)
	}
	leaktest.Eventually(t, time.Minute, func() (bool, string) {
		return stateOf(t, &facts) == host.TCPNone, "it has a state after it was closed"
	})
}

// TestWithoutSupportForMPTCPItsPathsCountAsTCP is about a connection that has fallen back to TCP,
// the only kind whose path is in CLOSE_WAIT.
func TestWithoutSupportForMPTCPItsPathsCountAsTCP(t *testing.T) {
	leaktest.RequireMPTCP(t)
	listener := leaktest.Listen(t, "tcp", "127.0.0.1:0")
	dialer := &net.Dialer{}
	dialer.SetMultipathTCP(true)
	c := leaktest.ConnectTo(t, listener, listener.Addr().String(), dialer)
	if err := c.Server.Close(); err != nil {
		t.Fatal(err)
	}
	inCloseWait := func() (rows []Row) {
		if _, err := NewDumper(host.TCPCloseWait).Dump(t.Context(), func(row *Row) {
			if row.Local == c.Remote() && row.Remote == c.Local() {
				rows = append(rows, *row)
			}
		}); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	leaktest.Eventually(t, time.Minute, func() (bool, string) {
		rows := inCloseWait()
		fallback := slices.ContainsFunc(rows, func(r Row) bool { return r.MPTCP && r.Fallback })
		return len(rows) == 2 && fallback, fmt.Sprintf("rows %+v, want one of TCP and one of MPTCP", rows)
	})
	defer support.Store(support.Swap(unsupported))
	if rows := inCloseWait(); len(rows) != 1 || rows[0].MPTCP || rows[0].Path {
		t.Errorf("rows %+v, want one of TCP", rows)
	}
}

// stateOf asks in a new Conn.
func stateOf(t *testing.T, f *closewait.Facts) uint8 {
	t.Helper()
	conn, err := NewConn()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state, err := conn.State(f)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func mptcpConnection(t *testing.T) *leaktest.Connection {
	t.Helper()
	listener := leaktest.Listen(t, "tcp", "127.0.0.1:0", func(c *net.ListenConfig) { c.SetMultipathTCP(true) })
	dialer := &net.Dialer{}
	dialer.SetMultipathTCP(true)
	return leaktest.ConnectTo(t, listener, listener.Addr().String(), dialer)
}

func cookieOf(t *testing.T, c *net.TCPConn) (cookie uint64) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if ctlErr := raw.Control(func(fd uintptr) { cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) }); ctlErr != nil || err != nil {
		t.Fatal(ctlErr, err)
	}
	return cookie
}
