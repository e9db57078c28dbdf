package procfs

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// TCPRow is a socket in /proc/PID/net/tcp or tcp6 (get_tcp4_sock in net/ipv4/tcp_ipv4.c and
// get_tcp6_sock in net/ipv6/tcp_ipv6.c).
type TCPRow struct {
	Local, Remote        netip.AddrPort // v4-mapped addresses stay mapped
	State                uint8
	SendQueue, RecvQueue uint32 // bytes; RecvQueue of a listener is the number of waiting connections
	Timer                uint8  // as in inet_diag_msg: 0 none, 1 retransmit, 2 keepalive, 4 zero window probe
	UID                  uint32
	Inode                uint64
}

// Some states, as the tables write them.
const (
	tableFinWait2  = "05"
	tableTimeWait  = "06"
	tableCloseWait = "08"
	tableListen    = "0A"
)

// States reports whether sockets in a state, written as in the tables, are wanted.
type States func(state []byte) bool

// HalfClosedOrListen selects sockets in CLOSE_WAIT or FIN_WAIT2, and listeners.
func HalfClosedOrListen(state []byte) bool {
	return string(state) == tableCloseWait || string(state) == tableFinWait2 || string(state) == tableListen
}

// AllButTimeWait selects all states in which a socket can have a descriptor.
func AllButTimeWait(state []byte) bool { return string(state) != tableTimeWait }

// The lengths of an address with its port: words of 8 hex digits, a colon and 4 digits.
const (
	tableWord  = 8
	tableAddr4 = tableWord + 5
	tableAddr6 = 4*tableWord + 5
)

// tableFields is the rest of a line. Any number of spaces separates two fields.
type tableFields []byte

// next returns the next field. It is empty if there is none or if no space follows it: the lines
// continue after all fields that are read, so a field without a space was cut short.
func (f *tableFields) next() []byte {
	rest := *f
	for len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	end := bytes.IndexByte(rest, ' ')
	if end < 0 {
		*f = nil
		return nil
	}
	*f = rest[end+1:]
	return rest[:end]
}

// tableHead holds the first fields of a line, which decide whether the line is wanted.
type tableHead struct{ number, local, remote, state []byte }

// valid reports whether the fields have the shape that they have in every line of a table.
func (h tableHead) valid() bool {
	return bytes.HasSuffix(h.number, []byte{':'}) && len(h.state) == len(tableListen) &&
		len(h.local) == len(h.remote) && (len(h.local) == tableAddr4 || len(h.local) == tableAddr6)
}

// parse parses the line that begins with head and continues with rest. If a field is not of its
// type, the result is false and the row must not be used.
func (r *TCPRow) parse(head tableHead, rest tableFields) bool {
	n := tableNumbers{valid: true}
	n.parse(bytes.TrimSuffix(head.number, []byte{':'}), 10, 64)
	r.Local, r.Remote = n.addrPort(head.local), n.addrPort(head.remote)
	r.State = uint8(n.parse(head.state, 16, 8))
	send, receive := n.pair(rest.next())
	r.SendQueue, r.RecvQueue = uint32(n.parse(send, 16, 32)), uint32(n.parse(receive, 16, 32))
	timer, expires := n.pair(rest.next())
	r.Timer = uint8(n.parse(timer, 16, 8))
	n.parse(expires, 16, 64)
	n.parse(rest.next(), 16, 32) // retransmits
	r.UID = uint32(n.parse(rest.next(), 10, 32))
	n.parse(rest.next(), 10, 32) // unanswered probes
	r.Inode = n.parse(rest.next(), 10, 64)
	return n.valid
}

// tableNumbers parses the numbers of a line. valid becomes false at the first that is not a number.
type tableNumbers struct{ valid bool }

func (n *tableNumbers) parse(field []byte, base, bits int) uint64 {
	number, err := strconv.ParseUint(string(field), base, bits)
	n.valid = n.valid && err == nil
	return number
}

func (n *tableNumbers) pair(field []byte) (first, second []byte) {
	first, second, colon := bytes.Cut(field, []byte{':'})
	n.valid = n.valid && colon
	return first, second
}

// addrPort parses an address, which is written word by word as the host reads 32 bits: on a
// little-endian host the bytes of each word are reversed. The port is written as a number.
func (n *tableNumbers) addrPort(field []byte) netip.AddrPort {
	words, port := n.pair(field)
	var long [16]byte
	for at := long[:0]; len(words) >= tableWord && len(at) < len(long); words = words[tableWord:] {
		at = binary.NativeEndian.AppendUint32(at, uint32(n.parse(words[:tableWord], 16, 32)))
	}
	n.valid = n.valid && len(words) == 0 && len(port) == 4
	addr := netip.AddrFrom16(long)
	if len(field) == tableAddr4 {
		addr = netip.AddrFrom4([4]byte(long[:]))
	}
	return netip.AddrPortFrom(addr, uint16(n.parse(port, 16, 16)))
}
