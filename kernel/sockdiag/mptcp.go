package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// reqProtocol is the attribute of a request that names a protocol above 255
// (INET_DIAG_REQ_PROTOCOL, Linux 5.9).
const reqProtocol = 3

// mptcpRequest returns a request for the MPTCP sockets of both families in the given states, with
// mptcp_info.
func mptcpRequest(states ...uint) []byte { return withMPTCP(DumpRequest(states...)) }

// withMPTCP adds the attribute that asks for MPTCP to a request.
func withMPTCP(request []byte) []byte {
	const size = attributeHeader + 4
	request = binary.NativeEndian.AppendUint16(request, size)
	request = binary.NativeEndian.AppendUint16(request, reqProtocol)
	request = binary.NativeEndian.AppendUint32(request, unix.IPPROTO_MPTCP)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	return request
}

// support is what is known about the kernel: 0 nothing yet.
var support atomic.Uint32

const supported, unsupported = 1, 2

// hasMPTCP reports whether the kernel lists MPTCP sockets. It asks once, because a kernel without
// them searches for a module each time. One that does not know the attribute would answer the
// request of a dump with TCP sockets, so this request is of another form, and for sockets in no
// state.
func hasMPTCP() bool {
	if support.Load() == 0 {
		const request = 56 // struct inet_diag_req_v2
		b := make([]byte, headerSize+request)
		binary.NativeEndian.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
		binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
		b[headerSize] = unix.AF_INET
		dumper := NewDumper()
		dumper.Brief = true
		_, err := dumper.dump(context.Background(), withMPTCP(b), parseMPTCP, func(*Row) {})
		switch {
		case err == nil:
			support.Store(supported)
		case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP):
			support.Store(unsupported)
		}
	}
	return support.Load() == supported
}

// parseMPTCP parses a row of an MPTCP socket, whose queues are memory and not bytes.
func parseMPTCP(data []byte, row *Row) error {
	if err := parse(data, row, (*Row).parseMPTCPInfo); err != nil {
		return err
	}
	row.MPTCP, row.RecvQueue = true, 0
	return nil
}

// Layout of struct mptcp_info (include/uapi/linux/mptcp.h). It grows at its end from release to
// release: the numbers of bytes came with 6.5, the times with 6.10.
const (
	mptcpFlags         = 8
	mptcpWriteSeq      = 16
	mptcpSendUnacked   = 24
	mptcpBytesRetrans  = 48
	mptcpBytesSent     = 56
	mptcpBytesReceived = 64
	mptcpBytesAcked    = 72
	mptcpLastDataSent  = 84
	mptcpLastDataRecv  = 88
	mptcpLastAckRecv   = 92

	mptcpFallback = 1 // of the flags: the connection has fallen back to TCP
)

func (r *Row) parseMPTCPInfo(info []byte) {
	r.SendQueue = uint32(counterAt(info, mptcpWriteSeq) - counterAt(info, mptcpSendUnacked))
	r.BytesSent, r.BytesRetransmitted = counterAt(info, mptcpBytesSent), counterAt(info, mptcpBytesRetrans)
	r.BytesAcked, r.BytesReceived = counterAt(info, mptcpBytesAcked), counterAt(info, mptcpBytesReceived)
	native := binary.NativeEndian
	r.Fallback = len(info) >= mptcpFlags+4 && native.Uint32(info[mptcpFlags:])&mptcpFallback != 0
	if r.Fallback || len(info) < mptcpLastAckRecv+4 { // or the times are older than the last ACK
		return
	}
	r.HasInfo = true
	r.LastDataSent = native.Uint32(info[mptcpLastDataSent:])
	r.LastDataRecv = native.Uint32(info[mptcpLastDataRecv:])
	r.LastAckRecv = native.Uint32(info[mptcpLastAckRecv:])
}

// stateOfMPTCP is State for an MPTCP socket. The kernel finds a single one only by its token, so
// all are read, once for a Conn.
func (c *Conn) stateOfMPTCP(f *closewait.Facts) (state uint8, err error) {
	if c.mptcp == nil {
		all := map[uint64]mptcpState{}
		dumper := NewDumper()
		dumper.Brief = true
		_, err := dumper.dump(context.Background(), mptcpRequest(mptcpStates...), parseMPTCP, func(row *Row) {
			all[row.Cookie] = mptcpState{row.State, row.Inode != 0}
		})
		if err != nil {
			return host.TCPNone, err
		}
		c.mptcp = all
	}
	found := c.mptcp[f.ID.Cookie]
	if f.Accepted() && !found.hasFile {
		return host.TCPNone, nil
	}
	return found.state, nil
}

// mptcpState is the state of an MPTCP socket, and whether it has a file.
type mptcpState struct {
	state   uint8
	hasFile bool
}

// mptcpStates are all states of an MPTCP socket that has a connection.
var mptcpStates = []uint{1, 2, 3, 4, 5, 6, 7, 8, 9, 11}
