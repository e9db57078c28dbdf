package sockdiag

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/kerneltest"
)

func TestRowsOfRealSocketsSayWhatTheSocketsSay(t *testing.T) {
	began := time.Now()
	made := kerneltest.LiveSockets(t)
	rows := map[uint64]Row{}
	for _, row := range dump(t) {
		if row.Inode != 0 {
			rows[uint64(row.Inode)] = row
		}
	}
	for name, want := range made {
		t.Run(name, func(t *testing.T) {
			row, found := rows[want.Inode]
			if !found {
				t.Fatalf("no row of inode %d", want.Inode)
			}
			got := kerneltest.LiveSocket{
				State: row.State, Local: row.Local, Remote: row.Remote, Inode: uint64(row.Inode), Cookie: row.Cookie,
				RecvQueue: row.RecvQueue, BytesRead: row.BytesReceived, BytesSent: row.BytesSent, UID: row.UID,
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if v6 := row.Family == syscall.AF_INET6; !row.HasInfo || v6 == want.Local.Addr().Is4() {
				t.Errorf("tcp_info %v, family %d", row.HasInfo, row.Family)
			}
			if most := uint32(time.Since(began).Milliseconds()) + 20; row.State == 8 && row.LastAckRecv > most {
				t.Errorf("last ACK %d ms ago, and the test runs for %d", row.LastAckRecv, most)
			}
		})
	}
}

// dump asks for all sockets in CLOSE_WAIT and LISTEN, both families, in the simplest way.
func dump(t *testing.T) []Row {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		t.Skipf("no sock_diag here: %v", err)
	}
	defer unix.Close(fd)
	const getSock, states, wantInfo = 18, 1<<8 | 1<<10, 1 << (diagInfo - 1)
	request := encode(t, uint8(unix.AF_UNSPEC), uint16(0), uint8(wantInfo), [48]byte{}, uint32(states), uint32(0))
	head := header{Type: getSock, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Seq: 1}
	if err := unix.Sendto(fd, message(t, head, request), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	var rows []Row
	buf := make([]byte, 1<<18)
	for done := false; !done; {
		n, _, flags, _, err := unix.Recvmsg(fd, buf, nil, 0)
		if err != nil || flags&unix.MSG_TRUNC != 0 {
			t.Fatal(os.NewSyscallError("recvmsg", err), flags)
		}
		if err := eachMessage(buf[:n], func(h header, payload []byte) error {
			if h.Type == unix.NLMSG_DONE {
				done = true
				return nil
			}
			var row Row
			if err := parseRow(payload, &row); err != nil || h.Type != getSock {
				t.Fatalf("message of type %d: %v", h.Type, err)
			}
			rows = append(rows, row)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}
