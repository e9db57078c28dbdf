package closewait

import "strings"

// Family is the address family of a socket.
type Family uint8

// The address families, in the order in which they are published.
const (
	IPv4 Family = iota
	IPv6
	families
)

func (f Family) String() string { return [...]string{"ipv4", "ipv6"}[f] }

// State is the state of a socket that a process holds or could accept, as far as it costs a
// descriptor without a live connection.
type State uint8

// The states, in the order in which they are published. CloseWait and Closed are ended sockets: the
// leak. An ended socket goes from CloseWait to Closed when the peer resets the connection or a
// keepalive probe gets no answer.
const (
	CloseWait   State = iota // the peer has closed, the program has not
	Closed                   // the connection is over on both sides; the socket is in no table
	FinWait2                 // the program has shut down its side, the peer has not
	Unconnected              // never connected: a refused connect(2), or a bare socket(2); in no table
	states
)

func (s State) String() string {
	return [...]string{"close_wait", "closed", "fin_wait2", "unconnected"}[s]
}

// Ended reports whether the connection has ended: the peer has closed it.
func (s State) Ended() bool { return s == CloseWait || s == Closed }

// Listed reports whether sockets in this state are in the socket tables of their namespace.
func (s State) Listed() bool { return s == CloseWait || s == FinWait2 }

// StateSet is a set of states.
type StateSet uint8

// NewStateSet returns the set of the given states.
func NewStateSet(list ...State) StateSet {
	var set StateSet
	for _, s := range list {
		set |= 1 << s
	}
	return set
}

// Has reports whether the set contains a state.
func (set StateSet) Has(s State) bool { return set&(1<<s) != 0 }

// String lists the states, such as "[close_wait, closed]".
func (set StateSet) String() string {
	var names []string
	for s := range states {
		if set.Has(s) {
			names = append(names, s.String())
		}
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// Owner is the kind of owner that a socket could be assigned to.
type Owner uint8

// The owners, in the order in which they are published.
const (
	OwnedByProcess  Owner = iota // some process has a descriptor for it
	OwnedByListener              // unaccepted: it waits in the accept queue of a listener
	OwnedByKernel                // accepted, every process could be read, and no process holds it
	OwnerUnresolved              // no holder was found, and some process could not be read
	owners
)

func (o Owner) String() string {
	return [...]string{"process", "unaccepted", "kernel", "unresolved"}[o]
}

// Unread is what a program has not read from a socket. It hints at why it did not close it.
type Unread uint8

// The classes, in the order in which they are published.
const (
	UnreadNone Unread = iota // it has read the end of file and did not close
	UnreadFIN                // it has read all data, and not the end of file
	UnreadData               // data is waiting: the program hangs or ignores the connection
	unreads

	// UnreadUnknown is the class of a socket of which it is not known what the program has read. It
	// is not published, and in no count.
	UnreadUnknown = unreads
)

func (u Unread) String() string { return [...]string{"none", "fin", "data", "unknown"}[u] }

// Direction is the side that opened a connection.
type Direction uint8

// A connection is outbound when its socket shows that this host opened it. It is inbound when its
// socket shows that it was accepted, or when its local port has a listener in its namespace.
const (
	UnknownDirection Direction = iota
	Outbound
	Inbound
)

func (d Direction) String() string { return [...]string{"unknown", "outbound", "inbound"}[d] }

// refine returns the direction of a connection that was d in an earlier scan and is now in this
// one. What is known stays known. Outbound wins, because only the socket itself shows that, while
// inbound can be concluded from a listener that has the local port of a client.
func (d Direction) refine(now Direction) Direction {
	if d == Outbound || now == UnknownDirection {
		return d
	}
	return now
}

// Timer is the pending timer of a socket, as sock_diag numbers them (idiag_timer).
type Timer uint8

// The timers of a TCP socket (include/uapi/linux/inet_diag.h, net/ipv4/inet_diag.c).
const (
	TimerNone       Timer = 0
	TimerRetransmit Timer = 1 // also loss probe and reordering timeout
	TimerKeepalive  Timer = 2
	TimerTimeWait   Timer = 3
	TimerProbe      Timer = 4 // zero-window probe
)

func (t Timer) String() string {
	switch t {
	case TimerNone:
		return "none"
	case TimerRetransmit:
		return "retransmit"
	case TimerKeepalive:
		return "keepalive"
	case TimerTimeWait:
		return "timewait"
	case TimerProbe:
		return "probe"
	}
	return "unknown"
}

// These are the closed sets, in the order in which they are published.
var (
	EndedStates = []State{CloseWait, Closed}
	OtherStates = []State{FinWait2, Unconnected}
	Families    = []Family{IPv4, IPv6}
	Owners      = []Owner{OwnedByProcess, OwnedByListener, OwnedByKernel, OwnerUnresolved}
	Unreads     = []Unread{UnreadNone, UnreadFIN, UnreadData}
	Directions  = []Direction{Outbound, Inbound, UnknownDirection}
)
