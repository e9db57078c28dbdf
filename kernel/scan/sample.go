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
		SinceLastAck:  atLeast(row.LastAckRecv),
		SinceLastData: atLeast(min(row.LastDataSent, row.LastDataRecv)),
	}
	if row.HasSent {
		s.Direction = openerOf(row.SendQueue, row.BytesAcked, row.BytesSent, row.BytesRetransmitted)
	}
	s.ID = socketID(ns, row.Cookie, &s.Facts)
	return s
}

// longestTick is the tick of a kernel with CONFIG_HZ=100.
const longestTick = 10 * time.Millisecond

// atLeast returns the time that has certainly passed when tcp_info reports this number of
// milliseconds. The kernel subtracts two times in whole ticks, so the time that has passed can be
// almost a tick less.
func atLeast(milliseconds uint32) time.Duration {
	return max(time.Duration(milliseconds)*time.Millisecond-longestTick, 0)
}

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
