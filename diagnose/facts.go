package diagnose

import (
	"net/netip"
	"time"

	"closewait_exporter/closewait"
)

// Facts are what was read about one process. What is blocked was read twice, a moment apart.
type Facts struct {
	Holder  *closewait.Holder // the process; its ended sockets, if it has some
	Taken   time.Time         // when the sockets of Holder were read
	Halted  string            // what keeps the process from running from outside; empty: nothing
	Runtime Runtime
	Between time.Duration // between the two readings

	Threads        []Thread
	ThreadsOmitted int      // threads that were not read, because there are too many
	Sockets        []Socket // its TCP sockets that are in a table of its network namespace
	SocketsKnown   bool     // whether its descriptors and the table could be read
	CallsKnown     bool     // whether the system calls of its threads could be read
	CPU            CPU
	Peeked         bool // whether FirstLine was asked for

	Missing []string // what could not be read, and why, for people
}

// Runtime is what executes the program.
type Runtime string

// The runtimes with a tool of their own that prints the stacks.
const (
	Native Runtime = "native"
	Java   Runtime = "java"
	Go     Runtime = "go"
	Python Runtime = "python"
	Node   Runtime = "node"
)

// Thread is a thread, and the system call in which it was both times.
type Thread struct {
	TID    int
	Name   string // at most 15 bytes, chosen by the process
	State  byte   // as in /proc/PID/stat: R, S, D, T, ...
	Still  bool   // it has not run between the two readings
	Call   string // name of the system call, such as "read"; empty: none, or not known
	Kernel string // function of the kernel in which it sleeps (wchan); empty: not known
	FDs    []int  // descriptors for which the call waits; those that an epoll instance watches
	On     string // kind of the descriptor of the call, such as "pipe"; empty for sockets in Sockets
	Socket int    // index in Sockets of the only one for which the call waits, or -1
}

// SocketState is the state of a Socket.
type SocketState uint8

// The states, as far as they make a difference.
const (
	Established SocketState = iota
	Connecting              // SYN_SENT
	Listening
	ShutDown // this side has shut down, the peer has not (FIN_WAIT1, FIN_WAIT2)
	Ending   // the peer has closed
)

// Socket is a TCP socket of the process.
type Socket struct {
	FD            int
	State         SocketState
	Local, Remote netip.AddrPort
	RecvQueue     uint32 // bytes; of a listener: connections in its accept queue
	SendQueue     uint32 // bytes; of a listener: the maximum of the above
	Inbound       bool   // its local port has a listener in its network namespace
	Moved         bool   // queues or byte counters have changed between the two readings
	HasTimes      bool   // whether the next two are known
	SinceSent     time.Duration
	SinceReceived time.Duration
	BytesReceived uint64
	Peer          Peer          // of a connection
	QueueAge      time.Duration // of a listener: for how long the oldest connection has been in its accept queue
	FirstLine     string        // what the first unread line says, without anything secret; empty: not asked for, or not known
	Others        []int         // of a listener whose queue stands: pids of other processes that hold it
}

// Place is where the other end of a connection is.
type Place uint8

// The places. Only sockets in the network namespace of the process are found.
const (
	Elsewhere    Place = iota // on another host, or in another network namespace
	OwnProcess                // the same process holds it
	OwnQueue                  // in the accept queue of a listener of the process
	OtherProcess              // on this host; PID is 0 where it was not looked for, or not found
)

// Peer is the other end of a connection.
type Peer struct {
	Place  Place
	PID    int
	Comm   string
	Unread uint32 // bytes that its holder has not read
}

// CPU is how much of the processors the process got between the two readings.
type CPU struct {
	Known     bool
	Wanted    float64 // seconds per second that its threads ran or waited for a processor
	Waited    float64 // share of Wanted that they waited, 0 to 1
	Throttled float64 // share of the periods in which its cgroup has used up its quota, 0 to 1
}

// waited is for how long nothing has moved on a connection, at least.
func (s *Socket) waited(between time.Duration) time.Duration {
	switch {
	case s.Moved:
		return 0
	case s.State == Connecting:
		return between // the kernel keeps no time of the first SYN
	case !s.HasTimes:
		return 0
	}
	return min(s.SinceSent, s.SinceReceived)
}

// awaitsAnswer reports whether the process has sent something and has received nothing since.
func (s *Socket) awaitsAnswer() bool {
	switch {
	case s.State == Connecting:
		return true
	case s.State != Established || !s.HasTimes:
		return false
	}
	return s.SinceSent < s.SinceReceived || s.BytesReceived == 0
}

// HasUnreadData reports whether there is data on a connection that the process has not read. The
// end of the stream, which the kernel counts as one byte, is none.
func (s *Socket) HasUnreadData() bool {
	switch s.State {
	case Listening, Connecting:
		return false
	case Ending:
		return s.RecvQueue > 1
	}
	return s.RecvQueue > 0
}
