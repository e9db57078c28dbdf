package bpf

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"unsafe"

	"closewait_exporter/kernel/host"
)

// The address families (include/linux/socket.h).
const (
	familyIPv4 = 2
	familyIPv6 = 10
)

// NeverConnected is the state of a Socket that is closed and has never been connected. One that was
// connected is in host.TCPClose.
const NeverConnected = 0

// Socket is a descriptor of a TCP socket that is in CLOSE_WAIT, FIN_WAIT2 or closed, or listening.
// A socket with several descriptors has several records. The fields are explained in bpf/record.h.
type Socket struct{ objectRecord }

// LocalAddress returns the local address. v4-mapped addresses stay mapped.
func (s *Socket) LocalAddress() netip.AddrPort { return s.address(&s.Local, s.LocalPort) }

// RemoteAddress returns the address of the peer.
func (s *Socket) RemoteAddress() netip.AddrPort { return s.address(&s.Remote, s.RemotePort) }

func (s *Socket) address(words *[4]uint32, port uint16) netip.AddrPort {
	b := *(*[16]byte)(unsafe.Pointer(words))
	if s.Family == familyIPv4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(b), port)
}

// Process is a process or, if Thread is not Pid, a thread of it that lives in another network
// namespace than its leader. The fields are explained in bpf/record.h.
type Process struct{ objectProcess }

// Command returns the name of the process, at most 15 bytes.
func (p *Process) Command() string {
	name, _, _ := bytes.Cut(p.Comm[:], []byte{0})
	return string(name)
}

// The bits of task_struct.__state that /proc shows (TASK_REPORT in include/linux/sched.h), and the
// letters of /proc/PID/stat for no bit (running) and for each bit, ascending.
const reportedStates, stateLetters = 0x7f, "RSDTtXZP"

// Other bits that have a letter.
const (
	taskIdle       = 0x402  // TASK_IDLE: both bits
	taskRTLockWait = 0x1000 // TASK_RTLOCK_WAIT
	taskFrozen     = 0x8000 // TASK_FROZEN
)

// StateLetter returns the state of the leader as in /proc/PID/stat (__task_state_index in
// include/linux/sched.h).
func (p *Process) StateLetter() byte {
	switch {
	case p.State&(taskRTLockWait|taskFrozen) != 0:
		return 'D'
	case p.State&taskIdle == taskIdle:
		return 'I'
	}
	return stateLetters[bits.Len32(p.State&reportedStates)]
}

// fdCount is the number of descriptors of a process.
type fdCount struct{ objectFdCount }

// Version is a set of numbers that changes when a process gets another program, user, control group
// or limit of descriptors. While it stays the same, these facts need not be read from /proc again.
type Version = objectVersion

// record is a pointer to a type whose memory layout is the layout in which the kernel writes it.
type record[R any] interface {
	*R
	check() error // returns host.ErrMalformed if a field has an impossible value
}

var socketStates = []uint8{NeverConnected, host.TCPFinWait2, host.TCPClose, host.TCPCloseWait, host.TCPListen}

func (s *Socket) check() error {
	switch {
	case s.Family != familyIPv4 && s.Family != familyIPv6:
		return malformedRecord("address family %d", s.Family)
	case !slices.Contains(socketStates, s.State):
		return malformedRecord("state %d", s.State)
	case !isPID(s.Pid) || s.Inode == 0:
		return malformedRecord("process %d, inode %d", s.Pid, s.Inode)
	case s.Opener > 2:
		return malformedRecord("opener %d", s.Opener)
	}
	return nil
}

func (p *Process) check() error {
	if !isPID(p.Pid) || !isPID(p.Thread) {
		return malformedRecord("process %d, thread %d", p.Pid, p.Thread)
	}
	return nil
}

func (c *fdCount) check() error {
	if !isPID(c.Pid) {
		return malformedRecord("process %d", c.Pid)
	}
	return nil
}

func malformedRecord(format string, a ...any) error {
	return fmt.Errorf("%w record of a BPF iterator: %s", host.ErrMalformed, fmt.Sprintf(format, a...))
}

func isPID(n uint32) bool { return 0 < n && n <= math.MaxInt32 }

// decode calls each for each record in data, and returns the errors of malformed ones. data holds
// whole records and is aligned for numbers of 8 bytes. The record is valid during the call.
func decode[R any, P record[R]](data []byte, each func(P)) (bad []error) {
	size := int(unsafe.Sizeof(*new(R)))
	for ; len(data) >= size; data = data[size:] {
		r := P(unsafe.Pointer(unsafe.SliceData(data))) // valid for any bytes: a record only holds numbers
		if err := r.check(); err != nil {
			bad = append(bad, err)
			continue
		}
		each(r)
	}
	if len(data) > 0 {
		bad = append(bad, malformedRecord("%d bytes of %d", len(data), size))
	}
	return bad
}
