package iterator

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
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
	b := *(*[16]byte)(unsafe.Pointer(words))
	if s.Family == familyIPv4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(b), port)
}

// Process is a process or, where Thread is not Pid, a thread of it that lives in another network
// namespace than its leader. Its fields are explained in bpf/record.h.
type Process struct{ objectProcess }

// Command is its name, at most 15 bytes.
func (p *Process) Command() string {
	name, _, _ := bytes.Cut(p.Comm[:], []byte{0})
	return string(name)
}

// The bits of task_struct.__state that show (TASK_REPORT in include/linux/sched.h), by ascending number, with the letters of
// /proc/PID/stat. 0 is running.
const reportedStates, stateLetters = 0x7f, "RSDTtXZP"

// The others that say what is shown.
const (
	taskIdle       = 0x402  // TASK_IDLE: both bits
	taskRTLockWait = 0x1000 // TASK_RTLOCK_WAIT
	taskFrozen     = 0x8000 // TASK_FROZEN
)

// StateLetter is the state of its leader as /proc/PID/stat has it (__task_state_index in include/linux/sched.h).
func (p *Process) StateLetter() byte {
	switch {
	case p.State&(taskRTLockWait|taskFrozen) != 0:
		return 'D'
	case p.State&taskIdle == taskIdle:
		return 'I'
	}
	return stateLetters[bits.Len32(p.State&reportedStates)]
}

// tally is how many descriptors a process has.
type tally struct{ objectTally }

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

func (t *tally) check() error {
	if !isPID(t.Pid) {
		return fmt.Errorf("%w: process %d", ErrMalformed, t.Pid)
	}
	return nil
}

func isPID(n uint32) bool { return 0 < n && n <= math.MaxInt32 }

// decode calls each for each record in data, which holds whole ones and begins where a number of 8 bytes can; the
// record is valid during the call.
func decode[R any, P record[R]](data []byte, each func(P)) (malformed []error) {
	size := int(unsafe.Sizeof(*new(R)))
	for ; len(data) >= size; data = data[size:] {
		r := P(unsafe.Pointer(unsafe.SliceData(data))) // any bytes make a record: it holds numbers only
		if err := r.check(); err != nil {
			malformed = append(malformed, err)
			continue
		}
		each(r)
	}
	if len(data) > 0 {
		malformed = append(malformed, fmt.Errorf("%w: %d bytes of %d", ErrMalformed, len(data), size))
	}
	return malformed
}
