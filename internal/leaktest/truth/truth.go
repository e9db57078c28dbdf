// Package truth holds the reports of cmd/leak, with which tests compare what they see: one line of
// JSON when all that was asked for exists, and one in answer to each line of commands.
package truth

import "net/netip"

// SocketsAtMost is the largest number of sockets that a State lists; for more it has numbers only.
const SocketsAtMost = 1000

// State describes what a leaking program has done so far.
type State struct {
	PID      int   `json:"pid"`                // as the program sees it: 1 in its own pid namespace
	Children []int `json:"children,omitempty"` // in the order in which they were started

	Listeners     []netip.AddrPort `json:"listeners"`                // of accepted sockets; one entry per address, also with SO_REUSEPORT
	IdleListeners []netip.AddrPort `json:"idle_listeners,omitempty"` // of unaccepted sockets
	Backends      []netip.AddrPort `json:"backends,omitempty"`       // to which outbound sockets are connected

	Leaked      int      `json:"leaked"`              // sockets in CLOSE_WAIT that were accepted or connected, including streams
	Unaccepted  int      `json:"unaccepted"`          // sockets in CLOSE_WAIT in the accept queue
	Closed      int      `json:"closed"`              // sockets in CLOSE that are held
	FinWait2    int      `json:"fin_wait2"`           // sockets in FIN_WAIT2 that are held
	Unconnected int      `json:"unconnected"`         // sockets that never had a connection
	Established int      `json:"established"`         // healthy connections; each is two sockets
	Sockets     []Socket `json:"sockets,omitempty"`   // oldest first; none where there are more than SocketsAtMost
	Exhausted   int      `json:"exhausted,omitempty"` // number of times that --rate ran out of descriptors (EMFILE)
	Error       string   `json:"error,omitempty"`     // why the command failed
}

// Kind says how a socket was leaked.
type Kind string

// The kinds of sockets in State.Sockets.
const (
	Inbound     Kind = "inbound"     // accepted, the client closed
	Outbound    Kind = "outbound"    // connected, the server closed
	Stream      Kind = "stream"      // accepted, the client closed its half and still gets bytes
	Unaccepted  Kind = "unaccepted"  // never accepted, the client closed
	Closed      Kind = "closed"      // the other end sent a RST: in CLOSE, not in CLOSE_WAIT
	FinWait2    Kind = "fin_wait2"   // accepted and shut down for writing; the client keeps its end
	Unconnected Kind = "unconnected" // connect(2) was refused, or not called
)

// Socket is one socket that the program does not close.
type Socket struct {
	Kind    Kind           `json:"kind"`
	Was     Kind           `json:"was,omitempty"` // of a closed socket: its kind while it was in CLOSE_WAIT, if it was
	Local   netip.AddrPort `json:"local"`         // v4-mapped where the socket is an IPv6 one
	Remote  netip.AddrPort `json:"remote"`
	Inode   uint64         `json:"inode"`  // 0 while unaccepted
	Cookie  uint64         `json:"cookie"` // SO_COOKIE; 0 while unaccepted: there is no descriptor to ask
	RecvQ   uint32         `json:"recvq"`  // bytes, as ss prints it: an unread FIN counts as one
	MPTCP   bool           `json:"mptcp,omitempty"`
	Holders []int          `json:"holders,omitempty"`
}
