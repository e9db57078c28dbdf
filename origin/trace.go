package origin

import (
	"strings"
	"time"

	"closewait_exporter/closewait"
)

// How is the kind of call at which a socket was seen.
type How string

// The kinds of calls.
const (
	NotSeen How = "not_seen"
	Connect How = "connect"
	Accept  How = "accept"
	Read    How = "read"
	Write   How = "write"
)

// Call is a call of the program.
type Call struct {
	How   How
	Stack []Frame // innermost first
	Cut   bool    // the stack ends where no code is: there are callers that it does not show
}

// Socket is a leaked socket: its connection has ended, and the process still has a descriptor.
type Socket struct {
	Born      Call // where it was made, or first used
	End       Call // where its end was read; NotSeen: nowhere
	Thread    string
	Direction closewait.Direction
	Port      uint16 // of the service: inbound the local one, outbound the remote one; 0: not known
	State     closewait.State
	Unread    uint64 // bytes
}

// Trace is the result of tracing a process.
type Trace struct {
	Process closewait.Process
	For     time.Duration

	Sockets  []Socket // leaked, and made meanwhile
	Made     int      // sockets that were made meanwhile and that it still has, leaked or not
	Before   int      // leaked sockets that were made before
	Unknown  int      // leaked sockets that were made meanwhile in a call that was not seen
	Missing  []string // sentences about what was not seen or not read
	Attached []string // the hooks of the kernel that were used
}

// exe is the executable file of the process, as mappings name it.
func (t *Trace) exe() string { return strings.TrimSuffix(t.Process.Exe, " (deleted)") }
