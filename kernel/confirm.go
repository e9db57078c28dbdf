package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// mostConfirmed bounds how many sockets are asked for one by one in a scan. A dump misses a few; where
// so many are missing a process has ended, and nearly all have left.
const mostConfirmed = 10_000

// confirm reports which sockets are still in CLOSE_WAIT by asking for each in the given namespaces. A
// dump walks a hash table that changes under it and can miss the same socket twice; a question for one
// socket cannot.
func (s *Scanner) confirm(missed []closewait.Facts, in []namespace) map[closewait.SocketID]bool {
	still := map[closewait.SocketID]bool{}
	sockets := map[closewait.NetNS][]*closewait.Facts{}
	for i := range missed[:min(len(missed), mostConfirmed)] {
		if f := &missed[i]; f.ID.Cookie != 0 { // else it is from a table, and cannot be asked for
			sockets[f.ID.NetNS] = append(sockets[f.ID.NetNS], f)
		}
	}
	ask := func(ns namespace, err error) {
		if err == nil {
			err = confirmHere(sockets[ns.id], still)
		}
		s.faults.add(stageSockets, err)
		if err != nil && !vanished(err) {
			takeForThere(sockets[ns.id], still)
		}
	}
	var away []namespace
	for _, ns := range in {
		switch {
		case sockets[ns.id] == nil:
		case ns.own:
			ask(ns, nil)
		default:
			away = append(away, ns)
		}
	}
	if s.capable(unix.CAP_SYS_ADMIN) {
		inNamespaces(s.proc, away, ask)
	}
	return still
}

// takeForThere is for sockets that could not be asked for: what is not known to have left is asked for
// again by the next scan.
func takeForThere(sockets []*closewait.Facts, still map[closewait.SocketID]bool) {
	for _, socket := range sockets {
		if _, asked := still[socket.ID]; !asked {
			still[socket.ID] = true
		}
	}
}

// confirmHere asks for sockets in the network namespace of the calling thread.
func confirmHere(sockets []*closewait.Facts, still map[closewait.SocketID]bool) error {
	fd, err := openDiag()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := make([]byte, 8<<10)
	for _, socket := range sockets {
		state, err := askFor(fd, buf, socket)
		if err != nil {
			return err
		}
		still[socket.ID] = state == stateCloseWait
	}
	return nil
}

// askFor asks for the state of one socket, whatever it is, in the network namespace of the calling
// thread. It is stateNone when no table has one with this cookie.
func askFor(fd int, buf []byte, f *closewait.Facts) (state uint8, err error) {
	wanted := diagRow{family: unix.AF_INET6, local: f.Local, remote: f.Remote, iface: f.Interface, cookie: f.ID.Cookie}
	if f.Family() == closewait.IPv4 {
		wanted.family = unix.AF_INET
	}
	request := singleRequest(unix.SOCK_DIAG_BY_FAMILY, 0, &wanted)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return stateNone, fmt.Errorf("ask for a socket: %w", err)
	}
	n, err := receive(fd, buf)
	if err != nil {
		return stateNone, fmt.Errorf("receive a socket: %w", err)
	}
	var row diagRow
	err = eachMessage(buf[:n], func(header nlHeader, payload []byte) error {
		switch header.Type {
		case unix.NLMSG_ERROR:
			return netlinkError(payload)
		case unix.SOCK_DIAG_BY_FAMILY:
			return parseDiag(payload, &row)
		}
		return nil
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESTALE) { // no such socket, or with another cookie
		return stateNone, nil
	}
	if row.cookie != f.ID.Cookie {
		return stateNone, err
	}
	return row.state, err
}

// singleRequest is about one socket: struct nlmsghdr and struct inet_diag_req_v2
// (include/uapi/linux/inet_diag.h). Without the cookie the kernel would take any socket with these
// addresses, and for want of one the listener. The states of the request bind dumps only.
func singleRequest(kind, flags uint16, row *diagRow) []byte {
	const header, request, id = 16, 56, 8
	b := make([]byte, header+request)
	host := binary.NativeEndian
	host.PutUint32(b[0:], uint32(len(b)))
	host.PutUint16(b[4:], kind)
	host.PutUint16(b[6:], unix.NLM_F_REQUEST|flags)
	r := b[header:]
	r[0], r[1] = row.family, unix.IPPROTO_TCP
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
