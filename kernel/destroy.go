package kernel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// Destroy resets connections by SOCK_DESTROY: the peer gets a RST, and whoever waits for the socket
// wakes up with an error. The descriptor stays until the program closes it. Only sockets that
// are still in CLOSE_WAIT with the same cookie are touched, in whichever namespace they are; those
// given as defunct are skipped. It needs CAP_NET_ADMIN there, and a kernel with CONFIG_INET_DIAG_DESTROY.
func (g *Grip) Destroy(ctx context.Context, sockets []*closewait.Socket) (closewait.SocketCounts, error) {
	counts, err := patiently(ctx, g.hands.long, func(ctx context.Context) (closewait.SocketCounts, error) {
		var counts socketCounts
		if err := g.alive(); err != nil {
			return counts.SocketCounts, err
		}
		for ns, group := range byNamespace(counts.skipDefunct(sockets)) {
			err := g.hands.inNamespace(ctx, ns, func() error { return counts.destroy(ctx, group) })
			switch {
			case errors.Is(err, unix.ESRCH):
				counts.Gone += len(group)
			case err != nil:
				return counts.SocketCounts, err
			}
		}
		return counts.SocketCounts, counts.failure
	})
	if err != nil {
		return counts, fmt.Errorf("destroy sockets of process %d: %w", g.id.PID, err)
	}
	return counts, nil
}

// destroy destroys sockets in the network namespace of the current thread. A fresh dump tells to
// which interface a socket is bound, without which the kernel does not find it, and its cookie.
func (t *socketCounts) destroy(ctx context.Context, sockets []*closewait.Socket) error {
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
	fd, err := openSocket()
	return destroyer{fd}, err
}

// destroy asks for the end of one socket and waits for the answer: ENOENT when there is none with
// these addresses and this cookie.
func (d destroyer) destroy(row *Row) error {
	const sockDestroy = 21 // SOCK_DESTROY, include/uapi/linux/sock_diag.h
	request := singleRequest(sockDestroy, unix.NLM_F_ACK, row)
	if err := unix.Sendto(d.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, err := receive(d.fd, answer)
	if err != nil {
		return err
	}
	return eachMessage(answer[:n], func(header header, payload []byte) error {
		if header.Type != unix.NLMSG_ERROR {
			return fmt.Errorf("%w answer of type %d", ErrMalformed, header.Type)
		}
		return netlinkError(payload)
	})
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
