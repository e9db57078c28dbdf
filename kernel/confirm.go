package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// mostConfirmed bounds how many sockets are asked for one by one, at 10 microseconds each. A dump
// misses a few; where more are missing they have left.
const mostConfirmed = 1000

// confirm tells which sockets are still in CLOSE_WAIT by asking for each. A dump walks a hash table that
// changes under it and can miss the same socket twice; a question for one socket cannot.
func (s *Scanner) confirm(missed []*closewait.Socket) map[closewait.SocketID]bool {
	still := map[closewait.SocketID]bool{}
	if len(missed) > mostConfirmed {
		return still
	}
	in := map[closewait.NetNS][]*closewait.Socket{}
	for _, socket := range missed {
		if socket.ID.Cookie == 0 {
			continue // it was read from a table
		}
		in[socket.ID.NetNS] = append(in[socket.ID.NetNS], socket)
	}
	ask := func(ns namespace, err error) {
		if err == nil {
			err = confirmHere(in[ns.id], still)
		}
		s.faults.add(stageSockets, err)
	}
	var away []namespace
	for _, ns := range s.reached {
		switch {
		case in[ns.id] == nil:
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

// confirmHere asks for sockets in the network namespace of the calling thread.
func confirmHere(sockets []*closewait.Socket, still map[closewait.SocketID]bool) error {
	fd, err := openDiag()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := make([]byte, 8<<10)
	for _, socket := range sockets {
		found, err := askFor(fd, buf, &socket.Facts)
		if err != nil {
			return err
		}
		still[socket.ID] = found
	}
	return nil
}

// askFor asks for one socket in the network namespace of the calling thread. It is false when there is
// none with this cookie, or it is not in CLOSE_WAIT.
func askFor(fd int, buf []byte, f *closewait.Facts) (bool, error) {
	if err := unix.Sendto(fd, singleRequest(f), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("ask for a socket: %w", err)
	}
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(fd, buf) })
	if err != nil {
		return false, fmt.Errorf("receive a socket: %w", err)
	}
	found := false
	err = eachMessage(buf[:n], func(header nlHeader, payload []byte) error {
		var row diagRow
		switch header.Type {
		case unix.NLMSG_ERROR:
			return netlinkError(payload)
		case unix.SOCK_DIAG_BY_FAMILY:
			if err := parseDiag(payload, &row); err != nil {
				return err
			}
			found = row.state == stateCloseWait && row.cookie == f.ID.Cookie
		}
		return nil
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESTALE) { // no such socket, or with another cookie
		return false, nil
	}
	return found, err
}

// singleRequest is struct nlmsghdr and struct inet_diag_req_v2 for one socket.
func singleRequest(f *closewait.Facts) []byte {
	host, network := binary.NativeEndian, binary.BigEndian
	b := host.AppendUint32(nil, 16+56)
	b = host.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = host.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence number and port id
	family := byte(unix.AF_INET6)
	if f.Family() == closewait.IPv4 {
		family = unix.AF_INET
	}
	b = append(b, family, unix.IPPROTO_TCP, 0, 0)
	b = host.AppendUint32(b, 1<<stateCloseWait)
	b = network.AppendUint16(b, f.Local.Port())
	b = network.AppendUint16(b, f.Remote.Port())
	b = appendAddr(appendAddr(b, f.Local.Addr()), f.Remote.Addr())
	b = host.AppendUint32(b, 0) // any interface
	b = host.AppendUint32(b, uint32(f.ID.Cookie))
	return host.AppendUint32(b, uint32(f.ID.Cookie>>32))
}

// appendAddr appends an address in the 16 bytes that there are for either family.
func appendAddr(b []byte, addr netip.Addr) []byte {
	bytes := addr.AsSlice()
	return append(append(b, bytes...), make([]byte, 16-len(bytes))...)
}
