package tcp

import "os"

// RaiseTimeWaitLimit lets the network namespace of the caller keep all ends in FIN_WAIT2 or
// TIME_WAIT. By default the limit is half of the size of the table of connections. Beyond it the
// kernel forgets an end at once, and may give its port to another connection to the same address:
// that resets the socket in CLOSE_WAIT which is still at the other end. Where this does not work,
// the default applies.
func RaiseTimeWaitLimit() {
	_ = os.WriteFile("/proc/sys/net/ipv4/tcp_max_tw_buckets", []byte("262144"), 0)
}
