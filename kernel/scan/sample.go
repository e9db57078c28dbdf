package scan

import (
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
	"closewait_exporter/kernel/sockdiag"
)

// sampleOf converts a row of a netlink dump.
func sampleOf(ns closewait.NetNS, row *sockdiag.Row) closewait.SocketSample {
	s := closewait.SocketSample{
		Facts: closewait.Facts{
			Local: row.Local, Remote: row.Remote, Interface: row.Interface, Inode: uint64(row.Inode), UID: row.UID,
			RecvQueue: row.RecvQueue, SendQueue: row.SendQueue, Timer: closewait.Timer(row.Timer),
			BytesSent: row.BytesSent, BytesAcked: row.BytesAcked, BytesReceived: row.BytesReceived,
			State: stateOf(row.State), MPTCP: row.MPTCP,
		},
	}
	s.ID = socketID(ns, row.Cookie, &s.Facts)
	if row.HasSent && !row.MPTCP { // its SYN counts for its first path only
		s.Direction = openerOf(s.State, row.SendQueue, row.BytesAcked, row.BytesSent, row.BytesRetransmitted)
	}
	if s.State != closewait.CloseWait {
		return s
	}
	s.HasTimes = row.HasInfo
	s.SinceLastAck = atLeast(time.Duration(row.LastAckRecv)*time.Millisecond, longestTick)
	s.SinceLastData = atLeast(time.Duration(min(row.LastDataSent, row.LastDataRecv))*time.Millisecond, longestTick)
	return s
}

// stateOf returns the state of a socket that a table has in CLOSE_WAIT or FIN_WAIT2.
func stateOf(state uint8) closewait.State {
	if state == host.TCPFinWait2 {
		return closewait.FinWait2
	}
	return closewait.CloseWait
}

// longestTick is the tick of a kernel with CONFIG_HZ=100. tcp_info does not include the real one.
const longestTick = 10 * time.Millisecond

// atLeast returns the time that has certainly passed when the kernel reports this duration. The
// kernel subtracts two times in whole ticks, so the time that has passed can be almost a tick less.
func atLeast(reported, tick time.Duration) time.Duration { return max(reported-tick, 0) }

// sampleOfTableRow converts a line of /proc/PID/net/tcp, which has no cookie and no times.
func sampleOfTableRow(ns closewait.NetNS, row procfs.TCPRow) closewait.SocketSample {
	return closewait.SocketSample{Facts: closewait.Facts{
		ID:    closewait.TupleID(ns, row.Local, row.Remote, row.Inode),
		Local: row.Local, Remote: row.Remote, Inode: row.Inode, UID: row.UID,
		RecvQueue: row.RecvQueue, SendQueue: row.SendQueue, Timer: closewait.Timer(row.Timer), State: stateOf(row.State),
	}}
}

// socketID returns the identity of a socket: its cookie if one is known, else its addresses.
func socketID(ns closewait.NetNS, cookie uint64, f *closewait.Facts) closewait.SocketID {
	if cookie != 0 {
		return closewait.CookieID(ns, cookie)
	}
	return closewait.TupleID(ns, f.Local, f.Remote, f.Inode)
}

// openerOf returns which side opened a connection, from the counters of its socket in CLOSE_WAIT or
// FIN_WAIT2. The SYN of the side that called connect(2) counts as one acknowledged byte, so that
// side has one acknowledged byte more than it has sent. The own FIN counts too, which the peer has
// acknowledged in FIN_WAIT2. This only holds while nothing is queued.
func openerOf(state closewait.State, queued uint32, acked, sent, retransmitted uint64) closewait.Direction {
	if queued > 0 {
		return closewait.UnknownDirection
	}
	if state == closewait.FinWait2 {
		acked--
	}
	switch acked - (sent - retransmitted) {
	case 0:
		return closewait.Inbound
	case 1:
		return closewait.Outbound
	}
	return closewait.UnknownDirection
}
