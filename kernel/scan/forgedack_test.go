package scan_test

import (
	"encoding/binary"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/kernel/scan"
)

// control calls f with the descriptor of a connection.
func control(t *testing.T, c *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// endWithOldACK ends the half of the client with a FIN that acknowledges less than before. The
// kernel of the server accepts it, and does not count it as an ACK.
func (c *connection) endWithOldACK(t *testing.T) {
	t.Helper()
	const receiveQueue, sendQueue, missing = 1, 2, 3 // TCP_RECV_QUEUE, TCP_SEND_QUEUE (include/uapi/linux/tcp.h)
	var next [3]int
	control(t, c.Client, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, 1); err != nil { // it sends nothing from now on
			return err
		}
		for _, queue := range []int{receiveQueue, sendQueue} {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, queue); err != nil {
				return err
			}
			var err error
			if next[queue], err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ); err != nil {
				return err
			}
		}
		return nil
	})
	segment := make([]byte, 20)
	binary.BigEndian.PutUint16(segment[0:], c.Remote().Port())
	binary.BigEndian.PutUint16(segment[2:], c.Local().Port())
	binary.BigEndian.PutUint32(segment[4:], uint32(next[sendQueue]))
	binary.BigEndian.PutUint32(segment[8:], uint32(next[receiveQueue]-missing))
	segment[12], segment[13] = 5<<4, 0x11 // words of header; FIN and ACK
	binary.BigEndian.PutUint16(segment[14:], 0xffff)
	binary.BigEndian.PutUint16(segment[16:], checksumOf(c, segment))
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, segment, 0, &unix.SockaddrInet4{Addr: c.Local().Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	control(t, c.Server, func(fd int) error { return tcp.AwaitState(fd, tcp.CloseWait) })
}

// checksumOf is the checksum of a TCP segment from the client (RFC 9293).
func checksumOf(c *connection, segment []byte) uint16 {
	from, to := c.Remote().Addr().As4(), c.Local().Addr().As4()
	data := append(append(from[:], to[:]...), 0, unix.IPPROTO_TCP, 0, byte(len(segment)))
	sum := uint32(0)
	for data = append(data, segment...); len(data) > 0; data = data[2:] {
		sum += uint32(binary.BigEndian.Uint16(data))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestAFINWithAnOldACKDoesNotMakeASocketOld: without a bound, the rule "60 s in CLOSE_WAIT" would
// hold at once for a connection that was idle for a minute.
func TestAFINWithAnOldACKDoesNotMakeASocketOld(t *testing.T) {
	hosttest.Require(t)
	const idle = 1500 * time.Millisecond
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		if !e.cookies {
			t.Skip("the tables have no times")
		}
		c := connect(t, listen(t, "127.0.0.1:0"))
		c.reply("an answer")
		leaktest.Eventually(t, timeout, func() (idleForLong bool, why string) {
			control(t, c.Server, func(fd int) error {
				info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
				idleForLong = err == nil && info.Unacked == 0 && time.Duration(info.Last_ack_recv)*time.Millisecond >= idle
				return err
			})
			return idleForLong, "the last ACK is not old enough"
		})
		ns, scanner := netNSOf(t, os.Getpid()), openTracked(t, e, scan.Options{})
		before := scanner.view()
		c.endWithOldACK(t)
		forged := openTracked(t, e, scan.Options{}).view()
		if age := forged.socket(ns, c.Local(), c.Remote()).Age(forged.Taken); age < idle-exact/10 {
			t.Fatalf("the kernel says %v: the FIN counted as an ACK, so that this test shows nothing", age)
		}
		after := scanner.view()
		s, most := after.socket(ns, c.Local(), c.Remote()), after.Taken.Sub(before.Taken)
		if s.Age(after.Taken) > most || s.Quiet(after.Taken) > most {
			t.Errorf("age %v, quiet for %v, and the scan %v ago did not have it", s.Age(after.Taken), s.Quiet(after.Taken), most)
		}
	})
}
