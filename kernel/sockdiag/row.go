package sockdiag

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Row describes one TCP socket in an answer of sock_diag.
type Row struct {
	Family, State, Timer uint8
	Local, Remote        netip.AddrPort // v4-mapped addresses of an AF_INET6 socket stay mapped
	Interface            uint32         // index of the interface that it is bound to, 0 = none
	Cookie               uint64
	RecvQueue, SendQueue uint32 // bytes; of a listener: connections in its accept queue, and its backlog
	UID, Inode           uint32

	HasInfo                                 bool   // whether the following fields are known
	LastDataSent, LastDataRecv, LastAckRecv uint32 // milliseconds ago
	BytesSent, BytesAcked, BytesReceived    uint64 // 0 on kernels that do not count them
	BytesRetransmitted                      uint64 // part of BytesSent
	HasSent                                 bool   // whether BytesSent and BytesRetransmitted are known

	MPTCP    bool // an MPTCP socket, whose RecvQueue is not known
	Fallback bool // it has fallen back to TCP, so that its TCP socket knows more
	Path     bool // a TCP socket below an MPTCP one, which has a row of its own

	// Transparent says that the socket, or the listener that accepted it, has IP_TRANSPARENT. Old
	// kernels do not report it.
	Transparent bool
}

// Matches reports whether a row describes a socket that was seen before: whether the cookies are
// the same or, if none was known then, the addresses.
func (r *Row) Matches(s *closewait.Socket) bool {
	if s.ID.Cookie != 0 {
		return r.Cookie == s.ID.Cookie
	}
	return r.Local == s.Local && r.Remote == s.Remote
}

// Layout of struct inet_diag_msg (include/uapi/linux/inet_diag.h): ports and addresses are in
// network byte order, the rest in the byte order of the host.
const (
	diagFamily     = 0
	diagState      = 1
	diagTimer      = 2
	diagLocalPort  = 4
	diagRemotePort = 6
	diagLocal      = 8
	diagRemote     = 24
	diagInterface  = 40
	diagCookie     = 44 // two words, the lower one first
	diagRecvQueue  = 56
	diagSendQueue  = 60
	diagUID        = 64
	diagInode      = 68
	diagSize       = 72
)

// parseRow parses the payload of one message of an answer. After an error the row is empty. It
// allocates nothing unless it fails.
func parseRow(data []byte, row *Row) error { return parse(data, row, (*Row).parseInfo) }

// parse parses a message whose INET_DIAG_INFO has a type of its own.
func parse(data []byte, row *Row, parseInfo func(*Row, []byte)) error {
	*row = Row{}
	if len(data) < diagSize {
		return fmt.Errorf("%w inet_diag_msg: %d bytes of %d", host.ErrMalformed, len(data), diagSize)
	}
	if !row.parseMessage(data[:diagSize]) {
		return fmt.Errorf("%w inet_diag_msg: address family %d", host.ErrMalformed, data[diagFamily])
	}
	if err := row.parseAttributes(data[diagSize:], parseInfo); err != nil {
		*row = Row{}
		return err
	}
	return nil
}

// parseMessage parses the fixed part. For an address family other than IPv4 and IPv6 it does
// nothing and returns false.
func (r *Row) parseMessage(msg []byte) bool {
	var local, remote netip.Addr
	switch msg[diagFamily] {
	case syscall.AF_INET:
		local, remote = netip.AddrFrom4([4]byte(msg[diagLocal:])), netip.AddrFrom4([4]byte(msg[diagRemote:]))
	case syscall.AF_INET6:
		local, remote = netip.AddrFrom16([16]byte(msg[diagLocal:])), netip.AddrFrom16([16]byte(msg[diagRemote:]))
	default:
		return false
	}
	r.Local = netip.AddrPortFrom(local, binary.BigEndian.Uint16(msg[diagLocalPort:]))
	r.Remote = netip.AddrPortFrom(remote, binary.BigEndian.Uint16(msg[diagRemotePort:]))
	native := binary.NativeEndian
	r.Family, r.State, r.Timer = msg[diagFamily], msg[diagState], msg[diagTimer]
	r.Interface = native.Uint32(msg[diagInterface:])
	r.Cookie = uint64(native.Uint32(msg[diagCookie:])) | uint64(native.Uint32(msg[diagCookie+4:]))<<32
	r.RecvQueue, r.SendQueue = native.Uint32(msg[diagRecvQueue:]), native.Uint32(msg[diagSendQueue:])
	r.UID, r.Inode = native.Uint32(msg[diagUID:]), native.Uint32(msg[diagInode:])
	return true
}

// Attributes are struct rtattr: length with this header and type, then the value, padded to 4
// bytes.
const (
	attributeHeader = 4
	diagInfo        = 2  // INET_DIAG_INFO
	diagULP         = 19 // INET_DIAG_ULP_INFO
	ulpName         = 1  // INET_ULP_INFO_NAME
	diagOptions     = 22 // INET_DIAG_SOCKOPT
)

// parseAttributes parses what follows the fixed part. New kernels add attributes: unknown ones are
// skipped.
func (r *Row) parseAttributes(data []byte, parseInfo func(*Row, []byte)) error {
	for len(data) > 0 {
		if len(data) < attributeHeader {
			return fmt.Errorf("%w attribute: %d bytes left", host.ErrMalformed, len(data))
		}
		size := int(binary.NativeEndian.Uint16(data))
		if size < attributeHeader || size > len(data) {
			return fmt.Errorf("%w attribute: length %d, %d bytes left", host.ErrMalformed, size, len(data))
		}
		switch value := data[attributeHeader:size]; binary.NativeEndian.Uint16(data[2:]) {
		case diagInfo:
			parseInfo(r, value)
		case diagULP:
			r.Path = isMPTCP(value)
		case diagOptions:
			r.Transparent = len(value) > 0 && value[0]&transparentBit() != 0
		}
		data = data[min(align(size), len(data)):]
	}
	return nil
}

// isMPTCP reports whether the upper layer protocol of a TCP socket is MPTCP. Its name comes first.
func isMPTCP(ulp []byte) bool {
	if len(ulp) < attributeHeader || binary.NativeEndian.Uint16(ulp[2:]) != ulpName {
		return false
	}
	size := int(binary.NativeEndian.Uint16(ulp))
	return size >= attributeHeader && size <= len(ulp) && string(bytes.TrimRight(ulp[attributeHeader:size], "\x00")) == "mptcp"
}

// transparentBit is the sixth bit field of struct inet_diag_sockopt. A compiler allocates bit
// fields from the lowest bit where the byte order is little-endian, else from the highest.
func transparentBit() byte {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return 1 << 5
	}
	return 1 << 2
}

// Layout of struct tcp_info (include/uapi/linux/tcp.h). It grows at its end from release to
// release: bytes_acked and bytes_received came with 4.1, bytes_sent and
// bytes_retrans with 4.19.
const (
	infoLastDataSent  = 44
	infoLastDataRecv  = 52
	infoLastAckRecv   = 56
	infoBytesAcked    = 120
	infoBytesReceived = 128
	infoBytesSent     = 200
	infoBytesRetrans  = 208
)

func (r *Row) parseInfo(info []byte) {
	if len(info) < infoLastAckRecv+4 {
		return
	}
	native := binary.NativeEndian
	r.HasInfo = true
	r.LastDataSent = native.Uint32(info[infoLastDataSent:])
	r.LastDataRecv = native.Uint32(info[infoLastDataRecv:])
	r.LastAckRecv = native.Uint32(info[infoLastAckRecv:])
	r.BytesAcked = counterAt(info, infoBytesAcked)
	r.BytesReceived = counterAt(info, infoBytesReceived)
	r.BytesSent, r.BytesRetransmitted = counterAt(info, infoBytesSent), counterAt(info, infoBytesRetrans)
	r.HasSent = len(info) >= infoBytesRetrans+8
}

// counterAt returns a 64-bit counter, 0 if the kernel is too old to have it.
func counterAt(info []byte, offset int) uint64 {
	if len(info) < offset+8 {
		return 0
	}
	return binary.NativeEndian.Uint64(info[offset:])
}
