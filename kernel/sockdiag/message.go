package sockdiag

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// header is struct nlmsghdr without its length.
type header struct {
	Type, Flags uint16
	Seq, PID    uint32
}

const headerSize = 16

// eachMessage calls f with each netlink message of a received datagram and its payload, which is a
// part of data. It stops at the first error: an error of f, or ErrMalformed for a message that is
// not complete. A datagram that was cut between two messages looks complete, so the receiver has to
// check for MSG_TRUNC.
func eachMessage(data []byte, f func(head header, payload []byte) error) error {
	native := binary.NativeEndian
	for len(data) > 0 {
		if len(data) < headerSize {
			return fmt.Errorf("%w netlink message: %d bytes left", host.ErrMalformed, len(data))
		}
		size := native.Uint32(data)
		if size < headerSize || uint64(size) > uint64(len(data)) {
			return fmt.Errorf("%w netlink message: length %d, %d bytes left", host.ErrMalformed, size, len(data))
		}
		head := header{
			Type: native.Uint16(data[4:]), Flags: native.Uint16(data[6:]),
			Seq: native.Uint32(data[8:]), PID: native.Uint32(data[12:]),
		}
		if err := f(head, data[headerSize:size]); err != nil {
			return err
		}
		data = data[min(align(int(size)), len(data)):]
	}
	return nil
}

// align rounds a length up to the alignment of messages and attributes, 4 bytes.
func align(length int) int { return (length + 3) &^ 3 }

// messageError returns the error that an NLMSG_ERROR (struct nlmsgerr) or NLMSG_DONE begins with,
// nil for 0.
func messageError(payload []byte) error {
	if len(payload) < 4 {
		return fmt.Errorf("netlink error message: %w", host.ErrMalformed)
	}
	if code := int32(binary.NativeEndian.Uint32(payload)); code != 0 {
		return fmt.Errorf("ask for sockets: %w", unix.Errno(-code))
	}
	return nil
}
