package host

// States of TCP sockets (include/net/tcp_states.h).
const (
	TCPNone      = 0 // not a state of the kernel: the socket is in no table
	TCPClose     = 7 // of sockets that are in no table
	TCPCloseWait = 8
	TCPListen    = 10
)
