package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

const (
	// tcpdiagGetsock is the old sock_diag request (include/uapi/linux/inet_diag.h). It dumps both
	// families in one pass over the hash table of the kernel, where SOCK_DIAG_BY_FAMILY needs two.
	tcpdiagGetsock = 18

	// requestExtensions is the offset of idiag_ext in struct inet_diag_req.
	requestExtensions = 3

	// dumpBuffer is the size of the buffer of a receive, in bytes. The kernel fills at most 32 KiB
	// (Linux 6.18), and sends further sockets in further messages.
	dumpBuffer = 256 << 10
)

// HeldStates are the states in which a socket can have a descriptor and is in the TCP tables: all
// except CLOSE (in no table), SYN_RECV and NEW_SYN_RECV (no socket yet) and TIME_WAIT (no socket
// any more). See include/net/tcp_states.h.
var HeldStates = []uint{1, 2, 4, 5, 8, 9, 10, 11}

// DumpRequest returns a request for the TCP sockets of both families in the given states, with
// tcp_info: struct nlmsghdr and struct inet_diag_req.
func DumpRequest(states ...uint) []byte {
	const request = 60
	b := make([]byte, headerSize+request)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], tcpdiagGetsock)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b[headerSize] = unix.AF_INET // a dump ignores it
	b[headerSize+requestExtensions] = 1 << (diagInfo - 1)
	mask := uint32(0)
	for _, state := range states {
		mask |= 1 << state
	}
	binary.NativeEndian.PutUint32(b[headerSize+52:], mask)
	return b
}

// Dumper reads all sockets in some states by netlink. It is not safe for concurrent use, since it
// has a buffer.
type Dumper struct {
	// Brief leaves out tcp_info, and what is known only with it: times, counters of bytes, Path and
	// Fallback. The kernel takes no lock of a socket then. Otherwise Dump fails with host.ErrHangs
	// where a thread that is blocked in the kernel holds such a lock.
	Brief bool

	states []uint
	buf    []byte
	row    Row
}

// NewDumper returns a dumper of the sockets in the given states.
func NewDumper(states ...uint) *Dumper {
	return &Dumper{states: states, buf: make([]byte, dumpBuffer)}
}

// Dump calls f with every TCP socket in the network namespace of the calling thread that is in one
// of the states, and then with every MPTCP socket in one of them other than LISTEN: MPTCP listeners
// are among the TCP sockets. An MPTCP connection that has fallen back to TCP has rows of both kinds
// with the same inode and addresses. The row is valid until f returns. A row that cannot be parsed
// is skipped and counted in malformed. Any other error ends the dump.
func (d *Dumper) Dump(ctx context.Context, f func(*Row)) (malformed int, err error) {
	malformed, err = d.dump(ctx, DumpRequest(d.states...), parseRow, func(row *Row) {
		row.Path = row.Path && hasMPTCP()
		f(row)
	})
	others := slices.DeleteFunc(slices.Clone(d.states), func(state uint) bool { return state == host.TCPListen })
	if err != nil || len(others) == 0 || !hasMPTCP() {
		return malformed, err
	}
	more, err := d.dump(ctx, mptcpRequest(others...), parseMPTCP, f)
	return malformed + more, err
}

// dump sends a request and calls f with the rows of the answer.
func (d *Dumper) dump(ctx context.Context, request []byte, parse func([]byte, *Row) error, f func(*Row)) (malformed int, err error) {
	calls := infoCalls
	if d.Brief {
		calls = briefCalls
		request[headerSize+requestExtensions] = 0
	}
	socket, err := openSocket()
	if err != nil {
		return 0, err
	}
	defer socket.close()
	for ; ; request = nil {
		if err := ctx.Err(); err != nil {
			return malformed, err
		}
		n, err := socket.exchange(ctx, calls, request, d.buf)
		if err != nil {
			d.buf = make([]byte, dumpBuffer) // the kernel can still write to the one before
			return malformed, fmt.Errorf("read sockets by netlink: %w", err)
		}
		done, bad, err := d.decode(d.buf[:n], parse, f)
		malformed += bad
		if done || err != nil {
			return malformed, err
		}
	}
}

// decode calls f with the rows of one datagram. done reports whether it was the last of the dump.
func (d *Dumper) decode(datagram []byte, parse func([]byte, *Row) error, f func(*Row)) (done bool, malformed int, err error) {
	err = eachMessage(datagram, func(head header, payload []byte) error {
		switch head.Type {
		case unix.NLMSG_DONE:
			done = true
			return messageError(payload)
		case unix.NLMSG_ERROR:
			return messageError(payload)
		case tcpdiagGetsock:
			if bad := parse(payload, &d.row); bad != nil {
				malformed++
			} else {
				f(&d.row)
			}
		}
		return nil
	})
	return done, malformed, err
}

// Probe returns an error if sockets cannot be read by netlink here: the kernel may lack inet_diag,
// or a seccomp filter may deny it. Probe dumps listeners, which is cheap: they are in a small table
// of their own.
func Probe() error {
	dumper := NewDumper(host.TCPListen)
	dumper.Brief = true
	_, err := dumper.Dump(context.Background(), func(*Row) {})
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("kernel module tcp_diag is missing: %w", err)
	}
	return err
}
