package iterator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"unsafe"
)

// The states of sockets that are passed on (include/net/tcp_states.h).
const (
	StateClose     = 7 // defunct: it was connected once
	StateCloseWait = 8
	StateListen    = 10
)

// The address families (include/linux/socket.h).
const (
	familyIPv4 = 2
	familyIPv6 = 10
)

// Socket is a descriptor of a TCP socket that is in CLOSE_WAIT, listening or defunct. A socket with
// several descriptors has several of these. Its fields are explained in bpf/record.h.
type Socket struct{ objectRecord }

// LocalAddress is that of this end. v4-mapped addresses stay mapped.
func (s *Socket) LocalAddress() netip.AddrPort { return s.address(&s.Local, s.LocalPort) }

// RemoteAddress is that of the peer.
func (s *Socket) RemoteAddress() netip.AddrPort { return s.address(&s.Remote, s.RemotePort) }

func (s *Socket) address(words *[4]uint32, port uint16) netip.AddrPort {
	var b [16]byte
	for i, word := range words {
		binary.NativeEndian.PutUint32(b[4*i:], word)
	}
	if s.Family == familyIPv4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(b), port)
}

// Process is a process or, where Thread is not Pid, a thread of it that lives in another network
// namespace than its leader. Its fields are explained in bpf/record.h.
type Process struct{ objectProcess }

// Version is what tells whether facts of a process that were read from /proc still hold.
type Version = objectVersion

// ErrMalformed is the error of records that make no sense.
var ErrMalformed = errors.New("malformed record of a BPF iterator")

// record is one of the types that are read from the kernel as they are.
type record[R any] interface {
	*R
	check() error
}

func (s *Socket) check() error {
	switch {
	case s.Family != familyIPv4 && s.Family != familyIPv6:
		return fmt.Errorf("%w: address family %d", ErrMalformed, s.Family)
	case s.State != StateClose && s.State != StateCloseWait && s.State != StateListen:
		return fmt.Errorf("%w: state %d", ErrMalformed, s.State)
	case !isPID(s.Pid) || s.Inode == 0:
		return fmt.Errorf("%w: process %d, inode %d", ErrMalformed, s.Pid, s.Inode)
	}
	return nil
}

func (p *Process) check() error {
	if !isPID(p.Pid) || !isPID(p.Thread) {
		return fmt.Errorf("%w: process %d, thread %d", ErrMalformed, p.Pid, p.Thread)
	}
	return nil
}

func isPID(n uint32) bool { return 0 < n && n <= math.MaxInt32 }

// decode calls each for each record in data, which holds whole ones; the record is valid during the call.
func decode[R any, P record[R]](data []byte, each func(P)) (malformed []error) {
	var r R
	size := int(unsafe.Sizeof(r))
	for ; len(data) >= size; data = data[size:] {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), size), data) // any bytes make a record: it holds numbers only
		if err := P(&r).check(); err != nil {
			malformed = append(malformed, err)
			continue
		}
		each(&r)
	}
	if len(data) > 0 {
		malformed = append(malformed, fmt.Errorf("%w: %d bytes of %d", ErrMalformed, len(data), size))
	}
	return malformed
}
