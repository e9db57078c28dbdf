package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Conn is a netlink socket for requests about single TCP sockets in the network namespace in which
// it was opened. It is not safe for concurrent use.
type Conn struct {
	socket netlinkSocket
	buf    []byte
	mptcp  map[uint64]mptcpState // by cookie; nil: not read yet
}

// NewConn opens a Conn in the network namespace of the calling thread. It fails with host.ErrHangs
// where a blocked dump blocks all requests. Only this is checked with a timeout, since requests can
// be many.
func NewConn() (*Conn, error) {
	socket, err := openSocket()
	if err != nil {
		return nil, err
	}
	c := &Conn{socket: socket, buf: make([]byte, 8<<10)}
	none := singleRequest(unix.SOCK_DIAG_BY_FAMILY, 0, &Row{Family: unix.AF_INET})
	if _, err := socket.exchange(context.Background(), briefCalls, none, c.buf); err != nil {
		c.Close()
		return nil, fmt.Errorf("ask for sockets: %w", err)
	}
	return c, nil
}

// Close closes the connection.
func (c *Conn) Close() { c.socket.close() }

// State returns the state of one socket, or host.TCPNone if no table has a socket with its cookie,
// or only what is left of a closed one: a connection without a file, where the socket had one. It
// never misses a TCP socket, as a dump can, whose hash table changes while it is read.
func (c *Conn) State(f *closewait.Facts) (state uint8, err error) {
	if f.MPTCP {
		return c.stateOfMPTCP(f)
	}
	row, err := c.read(f)
	return row.State, err
}

// Transparent reports whether a socket, or the listener that accepted it, has IP_TRANSPARENT. It is
// false where State is host.TCPNone, and on old kernels, which do not report it.
func (c *Conn) Transparent(f *closewait.Facts) (bool, error) {
	row, err := c.read(f)
	return row.Transparent, err
}

// read returns the row of one socket. It is empty if there is none: host.TCPNone is 0.
func (c *Conn) read(f *closewait.Facts) (row Row, err error) {
	wanted := Row{Family: unix.AF_INET6, Local: f.Local, Remote: f.Remote, Interface: f.Interface, Cookie: f.ID.Cookie}
	if f.Family() == closewait.IPv4 {
		wanted.Family = unix.AF_INET
	}
	if err := c.socket.send(singleRequest(unix.SOCK_DIAG_BY_FAMILY, 0, &wanted)); err != nil {
		return Row{}, fmt.Errorf("ask for a socket: %w", err)
	}
	n, err := c.socket.receive(c.buf)
	if err != nil {
		return Row{}, fmt.Errorf("receive a socket: %w", err)
	}
	err = eachMessage(c.buf[:n], func(head header, payload []byte) error {
		switch head.Type {
		case unix.NLMSG_ERROR:
			return messageError(payload)
		case unix.SOCK_DIAG_BY_FAMILY:
			return parseRow(payload, &row)
		}
		return nil
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESTALE) { // none, or another cookie
		return Row{}, nil
	}
	if row.Cookie != f.ID.Cookie || f.Accepted() && row.Inode == 0 {
		return Row{}, err
	}
	return row, err
}

// Destroy resets the connection of one socket (SOCK_DESTROY) and waits for the answer. It fails
// with ENOENT if there is no socket with the addresses, interface and cookie of the row. The kernel
// locks the socket, so a thread that is blocked in the kernel can block Destroy.
func (c *Conn) Destroy(row *Row) error {
	const sockDestroy = 21 // SOCK_DESTROY, include/uapi/linux/sock_diag.h
	if err := c.socket.send(singleRequest(sockDestroy, unix.NLM_F_ACK, row)); err != nil {
		return explainDestroy(err)
	}
	n, err := c.socket.receive(c.buf)
	if err != nil {
		return explainDestroy(err)
	}
	return explainDestroy(eachMessage(c.buf[:n], func(head header, payload []byte) error {
		if head.Type != unix.NLMSG_ERROR {
			return fmt.Errorf("%w answer of type %d", host.ErrMalformed, head.Type)
		}
		return messageError(payload)
	}))
}

// explainDestroy adds to an error of SOCK_DESTROY how to fix its cause.
func explainDestroy(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: it needs CAP_NET_ADMIN in the network namespace", err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: it needs a kernel with CONFIG_INET_DIAG_DESTROY", err)
	}
	return err
}

// singleRequest returns a request about one socket: struct nlmsghdr and struct inet_diag_req_v2
// (include/uapi/linux/inet_diag.h). Without a cookie the kernel would choose any socket with these
// addresses, or else the listener. The kernel uses the states in a request only for dumps.
func singleRequest(kind, flags uint16, row *Row) []byte {
	const request, id = 56, 8
	b := make([]byte, headerSize+request)
	native := binary.NativeEndian
	native.PutUint32(b[0:], uint32(len(b)))
	native.PutUint16(b[4:], kind)
	native.PutUint16(b[6:], unix.NLM_F_REQUEST|flags)
	r := b[headerSize:]
	r[0], r[1] = row.Family, unix.IPPROTO_TCP
	native.PutUint32(r[4:], 1<<host.TCPCloseWait)
	// struct inet_diag_sockid has the layout that it has in answers, where it begins 4 bytes earlier.
	const shift = id - diagLocalPort
	binary.BigEndian.PutUint16(r[diagLocalPort+shift:], row.Local.Port())
	binary.BigEndian.PutUint16(r[diagRemotePort+shift:], row.Remote.Port())
	copy(r[diagLocal+shift:diagRemote+shift], row.Local.Addr().AsSlice())
	copy(r[diagRemote+shift:diagInterface+shift], row.Remote.Addr().AsSlice())
	native.PutUint32(r[diagInterface+shift:], row.Interface)
	native.PutUint32(r[diagCookie+shift:], uint32(row.Cookie))
	native.PutUint32(r[diagCookie+shift+4:], uint32(row.Cookie>>32))
	return b
}
