package scan

import (
	"time"

	"closewait_exporter/closewait"
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
		},
		HasTimes:      row.HasInfo,
		SinceLastAck:  atLeast(time.Duration(row.LastAckRecv)*time.Millisecond, longestTick),
		SinceLastData: atLeast(time.Duration(min(row.LastDataSent, row.LastDataRecv))*time.Millisecond, longestTick),
	}
	if row.HasSent {
		s.Direction = openerOf(row.SendQueue, row.BytesAcked, row.BytesSent, row.BytesRetransmitted)
	}
	s.ID = socketID(ns, row.Cookie, &s.Facts)
	return s
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
		RecvQueue: row.RecvQueue, SendQueue: row.SendQueue, Timer: closewait.Timer(row.Timer),
	}}
}

// socketID returns the identity of a socket: its cookie if one is known, else its addresses.
func socketID(ns closewait.NetNS, cookie uint64, f *closewait.Facts) closewait.SocketID {
	if cookie != 0 {
		return closewait.CookieID(ns, cookie)
	}
	return closewait.TupleID(ns, f.Local, f.Remote, f.Inode)
}
