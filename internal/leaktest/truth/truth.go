// Package truth is what cmd/leak says of itself, so that a test can compare what it sees with what
// is so: one line of JSON when all that was asked for exists, and one in answer to each command.
package truth

import "net/netip"

// SocketsAtMost is up to how many sockets a State lists them; beyond, it gives numbers only.
const SocketsAtMost = 1000

// State is what a leaking program has done so far.
type State struct {
	PID      int   `json:"pid"`                // as the program sees it: 1 in a pid namespace of its own
	Children []int `json:"children,omitempty"` // in the order in which they were started

	Listeners     []netip.AddrPort `json:"listeners"`                // of accepted sockets; one entry an address, also with SO_REUSEPORT
	IdleListeners []netip.AddrPort `json:"idle_listeners,omitempty"` // of unaccepted sockets
	Backends      []netip.AddrPort `json:"backends,omitempty"`       // to which outbound sockets are connected

	Leaked      int      `json:"leaked"`              // sockets in CLOSE_WAIT that some process holds, streams included
	Unaccepted  int      `json:"unaccepted"`          // sockets in CLOSE_WAIT in the accept queue
	Defunct     int      `json:"defunct"`             // sockets in CLOSE that are held
	Established int      `json:"established"`         // healthy connections; each is two sockets
	Sockets     []Socket `json:"sockets,omitempty"`   // oldest first; none where there are more than SocketsAtMost
	Exhausted   int      `json:"exhausted,omitempty"` // how often it could not leak on at its rate for want of descriptors (EMFILE)
	Error       string   `json:"error,omitempty"`     // why the command failed
}

// Kind tells how a socket was leaked.
type Kind string

// The kinds of sockets in State.Sockets.
const (
	Inbound    Kind = "inbound"    // accepted, the client closed
	Outbound   Kind = "outbound"   // connected, the server closed
	Stream     Kind = "stream"     // accepted, the client closed its half and bytes still go to it
	Unaccepted Kind = "unaccepted" // never accepted, the client closed
	Defunct    Kind = "defunct"    // the other end sent a RST: in CLOSE, not in CLOSE_WAIT
)

// Socket is one socket that a leaking program does not close.
type Socket struct {
	Kind    Kind           `json:"kind"`
	Was     Kind           `json:"was,omitempty"` // of a defunct one: its kind while it was in CLOSE_WAIT, if it ever was
	Local   netip.AddrPort `json:"local"`         // v4-mapped where the socket is an IPv6 one
	Remote  netip.AddrPort `json:"remote"`
	Inode   uint64         `json:"inode"`  // 0 while unaccepted
	Cookie  uint64         `json:"cookie"` // SO_COOKIE; 0 while unaccepted, for nobody can ask
	RecvQ   uint32         `json:"recvq"`  // bytes, as ss shows it: the unread FIN counts as one
	Holders []int          `json:"holders,omitempty"`
}
