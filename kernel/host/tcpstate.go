package host

// States of TCP sockets (include/net/tcp_states.h).
const (
	TCPNone      = 0 // no state of the kernel: the socket is in no table
	TCPClose     = 7 // the kernel lists no socket in this state in a table
	TCPCloseWait = 8
	TCPListen    = 10
)
