package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// Destroy resets connections by SOCK_DESTROY: the peer gets a RST, and whoever waits for the socket
// wakes up with an error. The descriptor stays until the program closes it. Only sockets that
// are still in CLOSE_WAIT with the same cookie are touched, in whichever namespace they are.
// It needs CAP_NET_ADMIN there, and a kernel with CONFIG_INET_DIAG_DESTROY.
func (g *Grip) Destroy(ctx context.Context, sockets []*closewait.Socket) (Toll, error) {
	toll, err := patiently(ctx, g.hands.long, func(ctx context.Context) (Toll, error) {
		var toll Toll
		if err := g.alive(); err != nil {
			return toll, err
		}
		for ns, group := range byNamespace(sockets) {
			err := g.hands.inNamespace(ctx, ns, func() error { return toll.destroy(ctx, group) })
			switch {
			case errors.Is(err, unix.ESRCH):
				toll.Gone += len(group)
			case err != nil:
				return toll, err
			}
		}
		return toll, toll.failure
	})
	if err != nil {
		return toll, fmt.Errorf("destroy sockets of process %d: %w", g.id.PID, err)
	}
	return toll, nil
}

// destroy destroys sockets in the network namespace of the current thread. A fresh dump tells to
// which interface a socket is bound, without which the kernel does not find it, and its cookie.
func (t *Toll) destroy(ctx context.Context, sockets []*closewait.Socket) error {
	rows, err := rowsOf(ctx, sockets)
	if err != nil {
		return err
	}
	d, err := openDestroyer()
	if err != nil {
		return err
	}
	defer unix.Close(d.fd)
	for _, s := range sockets {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		row, found := rows[s]
		if !found {
			t.Gone++
			continue
		}
		err := d.destroy(&row)
		t.count(destroyError(err), errors.Is(err, unix.ENOENT))
	}
	return nil
}

// destroyer sends SOCK_DESTROY requests in the network namespace in which it was opened.
type destroyer struct{ fd int }

func openDestroyer() (destroyer, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return destroyer{}, fmt.Errorf("open netlink socket: %w", err)
	}
	patience := unix.NsecToTimeval(dumpPatience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		unix.Close(fd)
		return destroyer{}, fmt.Errorf("set timeout of netlink socket: %w", err)
	}
	return destroyer{fd}, nil
}

// destroy asks for the end of one socket and waits for the answer: ENOENT when there is none with
// these addresses and this cookie.
func (d destroyer) destroy(row *diagRow) error {
	if err := unix.Sendto(d.fd, destroyRequest(row), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(d.fd, answer) })
	if err != nil {
		return err
	}
	return eachMessage(answer[:n], func(header nlHeader, payload []byte) error {
		if header.Type != unix.NLMSG_ERROR {
			return fmt.Errorf("%w answer of type %d", errMalformed, header.Type)
		}
		return netlinkError(payload)
	})
}

// destroyRequest is struct nlmsghdr and struct inet_diag_req_v2 (include/uapi/linux/inet_diag.h).
// Without the cookie the kernel would take any socket with these addresses, and for want of one
// the listener.
func destroyRequest(row *diagRow) []byte {
	const sockDestroy, header, request, id = 21, 16, 56, 8
	b := make([]byte, header+request)
	host := binary.NativeEndian
	host.PutUint32(b[0:], uint32(len(b)))
	host.PutUint16(b[4:], sockDestroy)
	host.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	r := b[header:]
	r[0], r[1] = row.family, syscall.IPPROTO_TCP
	host.PutUint32(r[4:], 1<<stateCloseWait)
	// struct inet_diag_sockid is laid out as in the answers, where it begins 4 bytes earlier.
	const shift = id - diagLocalPort
	binary.BigEndian.PutUint16(r[diagLocalPort+shift:], row.local.Port())
	binary.BigEndian.PutUint16(r[diagRemotePort+shift:], row.remote.Port())
	copy(r[diagLocal+shift:diagRemote+shift], row.local.Addr().AsSlice())
	copy(r[diagRemote+shift:diagInterface+shift], row.remote.Addr().AsSlice())
	host.PutUint32(r[diagInterface+shift:], row.iface)
	host.PutUint32(r[diagCookie+shift:], uint32(row.cookie))
	host.PutUint32(r[diagCookie+shift+4:], uint32(row.cookie>>32))
	return b
}

// destroyError says how to mend what makes SOCK_DESTROY fail.
func destroyError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: it needs CAP_NET_ADMIN in the network namespace", err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: it needs a kernel with CONFIG_INET_DIAG_DESTROY, and does not work for MPTCP", err)
	}
	return err
}
