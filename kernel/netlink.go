package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	TCPNone      = 0  // none of the kernel's: of a socket that stands in no table
	TCPCloseWait = 8  // TCP_CLOSE_WAIT, include/net/tcp_states.h
	TCPListen    = 10 // TCP_LISTEN

	// tcpdiagGetsock is the old sock_diag request (include/uapi/linux/inet_diag.h): it asks for both
	// families in one walk of the kernel's hash table, where SOCK_DIAG_BY_FAMILY takes one for each.
	tcpdiagGetsock = 18

	// dumpBuffer is the size of one receive. The kernel fills 32 KiB at most, as of 6.18; what
	// does not fit a message is not lost but comes with the next.
	dumpBuffer = 256 << 10

	// dumpPatience is for how long the kernel may not answer at all.
	answerTimeout = 5 * time.Second
)

// diagRequest asks for sockets of both families in the given states, with tcp_info: struct nlmsghdr
// and struct inet_diag_req.
func DumpRequest(states ...uint) []byte {
	const header, request = 16, 60
	b := make([]byte, header+request)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], tcpdiagGetsock)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b[header] = unix.AF_INET // the dump ignores it
	b[header+3] = 1 << (diagInfo - 1)
	mask := uint32(0)
	for _, state := range states {
		mask |= 1 << state
	}
	binary.NativeEndian.PutUint32(b[header+52:], mask)
	return b
}

// dumper reads sockets by netlink, with a buffer of its own.
type Dumper struct {
	request []byte
	buf     []byte
	row     Row
}

// newDumper returns a dumper of the sockets in the given states.
func NewDumper(states ...uint) *Dumper {
	return &Dumper{request: DumpRequest(states...), buf: make([]byte, dumpBuffer)}
}

// dump hands every socket of the calling thread's network namespace in the dumper's states to f.
// The row is only valid until f returns. A row that makes no sense is left out and counted
// in malformed; any other error ends the dump.
func (d *Dumper) Dump(ctx context.Context, f func(*Row)) (malformed int, err error) {
	fd, err := openSocket()
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, d.request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask for sockets: %w", err)
	}
	for {
		if err := ctx.Err(); err != nil {
			return malformed, err
		}
		n, err := receive(fd, d.buf)
		if err != nil {
			return malformed, fmt.Errorf("receive sockets: %w", err)
		}
		done, bad, err := d.decode(d.buf[:n], f)
		malformed += bad
		if done || err != nil {
			return malformed, err
		}
	}
}

// openDiag opens a netlink socket in the network namespace of the calling thread.
func openSocket() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return -1, fmt.Errorf("open netlink socket: %w", err)
	}
	patience := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set timeout of netlink socket: %w", err)
	}
	return fd, nil
}

// decode hands the rows of one datagram to f; done says that it was the last.
func (d *Dumper) decode(datagram []byte, f func(*Row)) (done bool, malformed int, err error) {
	err = eachMessage(datagram, func(header header, payload []byte) error {
		switch header.Type {
		case unix.NLMSG_DONE:
			done = true
			return netlinkError(payload)
		case unix.NLMSG_ERROR:
			return netlinkError(payload)
		case tcpdiagGetsock:
			if bad := parseRow(payload, &d.row); bad != nil {
				malformed++
			} else {
				f(&d.row)
			}
		}
		return nil
	})
	return done, malformed, err
}

// netlinkError is the error with which a struct nlmsgerr or the end of a dump begins, if any.
func netlinkError(payload []byte) error {
	if len(payload) < 4 {
		return fmt.Errorf("netlink error message: %w", ErrMalformed)
	}
	if code := int32(binary.NativeEndian.Uint32(payload)); code != 0 {
		return fmt.Errorf("ask for sockets: %w", unix.Errno(-code))
	}
	return nil
}

// netlinkWorks tells why sockets cannot be read by netlink here: the kernel may lack inet_diag, or
// a seccomp filter may forbid it. Listeners stand in a small table of their own: to ask for them is
// cheap.
func Probe() error {
	_, err := NewDumper(TCPListen).Dump(context.Background(), func(*Row) {})
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("kernel module tcp_diag is missing: %w", err)
	}
	return err
}

// receive receives one datagram. With MSG_TRUNC the kernel tells its whole length: one that does not
// fit could be cut between two messages, and look whole (recv(2)).
func receive(fd int, buf []byte) (n int, err error) {
	n, err = RetryEINTR(func() (int, error) {
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
		return n, err
	})
	if n > len(buf) {
		return 0, fmt.Errorf("%w datagram of %d bytes, longer than %d", ErrMalformed, n, len(buf))
	}
	return n, err
}
