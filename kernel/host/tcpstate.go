package host

import "closewait_exporter/closewait"

// States of TCP sockets (include/net/tcp_states.h).
const (
	TCPNone      = 0 // no state of the kernel: the socket is in no table
	TCPFinWait2  = 5
	TCPClose     = 7 // the kernel lists no socket in this state in a table
	TCPCloseWait = 8
	TCPListen    = 10
)

// TCPState returns the state of the kernel for a state of a socket.
func TCPState(s closewait.State) uint8 {
	switch s {
	case closewait.CloseWait:
		return TCPCloseWait
	case closewait.FinWait2:
		return TCPFinWait2
	}
	return TCPClose
}
