package sockdiag

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// answerTimeout is how long the kernel may take for an answer, or for the next part of one.
const answerTimeout = 2 * time.Second

// The kernel fills in tcp_info under the lock of each socket (tcp_get_info in net/ipv4/tcp.c). A
// thread that receives into memory that is not there keeps that lock until the memory is: for ever
// if a FUSE server or userfaultfd has to provide it. Before Linux 6.9, all other requests of the
// host then wait for that request (sock_diag_mutex and inet_diag_table_mutex). So there is at most
// one blocked call of each kind: further ones fail at once with host.ErrHangs.
var (
	infoCalls  = &host.BoundedCalls{MaxBlocked: 1, Timeout: answerTimeout}
	briefCalls = &host.BoundedCalls{MaxBlocked: 1, Timeout: answerTimeout}
)

// netlinkSocket is a netlink socket. The file keeps its descriptor open during calls that the
// kernel blocks, also after Close.
type netlinkSocket struct{ file *os.File }

// openSocket opens a netlink socket in the network namespace of the calling thread.
func openSocket() (netlinkSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return netlinkSocket{}, fmt.Errorf("open netlink socket: %w", err)
	}
	timeout := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		unix.Close(fd)
		return netlinkSocket{}, fmt.Errorf("set timeout of netlink socket: %w", err)
	}
	return netlinkSocket{os.NewFile(uintptr(fd), "netlink")}, nil
}

func (s netlinkSocket) close() { s.file.Close() }

// exchange sends a request, unless it is nil, and receives one datagram. It can be called on any
// thread. After an error the kernel can still write to buf, and the socket is not to be used.
func (s netlinkSocket) exchange(ctx context.Context, calls *host.BoundedCalls, request, buf []byte) (n int, err error) {
	return host.CallWithTimeout(ctx, calls, func(ctx context.Context) (int, error) {
		if err := s.send(request); err != nil || ctx.Err() != nil {
			return 0, err
		}
		return s.receive(buf)
	})
}

func (s netlinkSocket) send(request []byte) error {
	if request == nil {
		return nil
	}
	return s.withFD(func(fd int) error {
		if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("send request: %w", err)
		}
		return nil
	})
}

// receive receives one datagram. It fails if the datagram does not fit into buf, because a datagram
// that was cut between two messages would look complete. With MSG_TRUNC the kernel returns the
// whole length (recv(2)).
func (s netlinkSocket) receive(buf []byte) (n int, err error) {
	err = s.withFD(func(fd int) (err error) {
		n, err = host.RetryEINTR(func() (int, error) {
			n, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
			return n, err
		})
		return err
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("receive answer: %w", err)
	case n > len(buf):
		return 0, fmt.Errorf("%w datagram of %d bytes, longer than %d", host.ErrMalformed, n, len(buf))
	}
	return n, nil
}

// withFD calls f with the descriptor, which stays open until f returns.
func (s netlinkSocket) withFD(f func(fd int) error) error {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}
