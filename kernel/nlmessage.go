package kernel

import (
	"encoding/binary"
	"fmt"
)

// nlHeader is struct nlmsghdr without its length.
type header struct {
	Type, Flags uint16
	Seq, PID    uint32
}

const headerSize = 16

// eachMessage calls f with each netlink message of a received datagram and the payload of it, which
// is a part of data. It stops at the first error: that of f, or errMalformed for a message which is
// not whole. A datagram that was cut between two messages cannot be told from a whole one: the
// receiver has to look for MSG_TRUNC.
func eachMessage(data []byte, f func(header header, payload []byte) error) error {
	host := binary.NativeEndian
	for len(data) > 0 {
		if len(data) < headerSize {
			return fmt.Errorf("%w netlink message: %d bytes left", ErrMalformed, len(data))
		}
		size := host.Uint32(data)
		if size < headerSize || uint64(size) > uint64(len(data)) {
			return fmt.Errorf("%w netlink message: length %d, %d bytes left", ErrMalformed, size, len(data))
		}
		header := header{
			Type: host.Uint16(data[4:]), Flags: host.Uint16(data[6:]),
			Seq: host.Uint32(data[8:]), PID: host.Uint32(data[12:]),
		}
		if err := f(header, data[headerSize:size]); err != nil {
			return err
		}
		data = data[min(align(int(size)), len(data)):]
	}
	return nil
}

// nlAlign is a length with the padding that follows a message or an attribute of that length.
func align(length int) int { return (length + 3) &^ 3 }
