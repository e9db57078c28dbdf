package sockdiag

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// answerTimeout is how long the kernel may take for an answer, or for the next part of one.
const answerTimeout = 5 * time.Second

// openSocket opens a netlink socket in the network namespace of the calling thread.
func openSocket() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return -1, fmt.Errorf("open netlink socket: %w", err)
	}
	timeout := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set timeout of netlink socket: %w", err)
	}
	return fd, nil
}

func send(fd int, request []byte) error {
	return unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// receive receives one datagram. It fails if the datagram does not fit into buf, because a datagram
// that was cut between two messages would look complete. With MSG_TRUNC the kernel returns the
// whole length (recv(2)).
func receive(fd int, buf []byte) (n int, err error) {
	n, err = host.RetryEINTR(func() (int, error) {
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
		return n, err
	})
	if n > len(buf) {
		return 0, fmt.Errorf("%w datagram of %d bytes, longer than %d", host.ErrMalformed, n, len(buf))
	}
	return n, err
}
