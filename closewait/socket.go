package closewait

import (
	"cmp"
	"net/netip"
	"time"
	"unique"
)

// NetNS is a network namespace, identified by the inode number of its /proc/PID/ns/net.
type NetNS uint64

// SocketID identifies a socket for as long as it lives: the kernel's cookie within a network
// namespace or, where no cookie is known, the addresses and the inode.
type SocketID struct {
	NetNS  NetNS
	Cookie uint64 // 0 if the scanner does not know it
	tuple  unique.Handle[tuple]
}

type tuple struct {
	local, remote netip.AddrPort
	inode         uint64
}

// CookieID identifies a socket by its cookie (SO_COOKIE; 64 bits, never 0, never reused).
func CookieID(ns NetNS, cookie uint64) SocketID {
	return SocketID{NetNS: ns, Cookie: cookie}
}

// TupleID identifies a socket by its addresses and inode, for scanners that know no cookie. A
// socket gets its inode when it is accepted, so it counts as another socket from then on.
func TupleID(ns NetNS, local, remote netip.AddrPort, inode uint64) SocketID {
	return SocketID{NetNS: ns, tuple: unique.Make(tuple{local, remote, inode})}
}

// Facts are the properties of a socket that only change when something happens to it. They are
// comparable: equal Facts in two scans mean that nothing moved in between.
type Facts struct {
	ID            SocketID
	Local, Remote netip.AddrPort // v4-mapped addresses stay mapped, which keeps the family
	Interface     uint32         // index of the interface that it is bound to; 0 = none, or not known
	Inode         uint64         // of the socket file; 0 = not accepted yet
	UID           uint32         // of the socket file
	MPTCP         bool           // an MPTCP socket; the addresses belong to its first path
	RecvQueue     uint32         // bytes; an unread FIN counts as one; 0 where unknown, which is with MPTCP only
	SendQueue     uint32         // bytes that the peer has not acknowledged
	Timer         Timer
	State         State
	Direction     Direction
	PeerChosePort bool   // of an inbound connection: its listener has another port than the peer has dialled
	BytesSent     uint64 // of the connection, retransmits included; 0 where unknown
	BytesAcked    uint64 // of the connection; 0 where unknown
	BytesReceived uint64 // of the connection; 0 where unknown
}

// counted reports whether the counters of bytes are known, or some are.
func (f *Facts) counted() bool { return f.BytesSent|f.BytesAcked|f.BytesReceived != 0 }

// Family is the address family. A socket with v4-mapped addresses is an IPv6 socket.
func (f *Facts) Family() Family {
	if f.Local.Addr().Is4() {
		return IPv4
	}
	return IPv6
}

// Port is the service port: the local port of an inbound, the remote port of an outbound
// connection. It is 0 where the direction is unknown, because one of the two ports is arbitrary,
// and where an inbound connection has a local port that the peer was free to choose.
func (f *Facts) Port() uint16 {
	switch {
	case f.Direction == Outbound:
		return f.Remote.Port()
	case f.Direction == Inbound && !f.PeerChosePort:
		return f.Local.Port()
	}
	return 0
}

// Accepted reports whether the program has, or had, a descriptor for the socket.
func (f *Facts) Accepted() bool { return f.Inode != 0 }

// UnreadBytes is the payload that the program has not read: the receive queue without the FIN.
func (f *Facts) UnreadBytes() uint64 {
	return uint64(max(f.RecvQueue, 1) - 1)
}

// Unread classifies what the program has not read. Data is always followed by the unread FIN, so a
// receive queue of one byte is the FIN alone. The kernel does not show whether a program has read
// the end of an MPTCP connection.
func (f *Facts) Unread() Unread {
	switch {
	case f.RecvQueue > 1:
		return UnreadData
	case f.MPTCP:
		return UnreadUnknown
	case f.RecvQueue == 1:
		return UnreadFIN
	}
	return UnreadNone
}

// LocalPeer reports whether the peer is on this host: both ends have the same address, or the peer
// has a loopback address.
func (f *Facts) LocalPeer() bool {
	remote := f.Remote.Addr().Unmap()
	return remote.IsLoopback() || remote == f.Local.Addr().Unmap()
}

// idle reports whether the kernel has nothing left to do for the connection. A socket with a
// keepalive timer is idle, because probes move no data. A socket in no table is always idle.
func (f *Facts) idle() bool {
	return !f.State.Listed() || f.SendQueue == 0 && f.Timer != TimerRetransmit && f.Timer != TimerProbe
}

// SocketSample is one socket as one scan saw it.
type SocketSample struct {
	Facts
	Owner   Owner
	Holders []ProcessID // of the socket or, while it is unaccepted, of its listener; read-only

	// Contested says that the socket is unaccepted and in one of several accept queues, and that
	// Holders has the holders of all of them.
	Contested bool

	// Idle times before Snapshot.Taken, from tcp_info. They are meaningless if HasTimes is false,
	// and used in CLOSE_WAIT only: no ACK says when a socket was closed.
	HasTimes      bool
	SinceLastAck  time.Duration // the FIN carried an ACK; keepalive answers reset it
	SinceLastData time.Duration // sent or received, the more recent
}

// Socket is a socket as the Tracker knows it. It is immutable: when something happens to the
// socket, a new Socket takes its place in later Views. The times of an ended socket are about its
// end, and stay the same when it goes from CloseWait to Closed.
type Socket struct {
	Facts
	Owner      Owner
	Holders    []ProcessID
	Contested  bool      // see SocketSample
	FirstSeen  time.Time // when a scan first saw it ended, or in another state if it has not ended
	Since      time.Time // ended, as far as the kernel says, which a peer can forge; else FirstSeen
	QuietSince time.Time // nothing has moved since then; zero while something is moving

	// AgeIsLowerBound says that the socket may have ended long before Since: the first scan saw it
	// already, and nothing showed when it had ended, or an answer to a keepalive probe may have
	// reset what shows it.
	AgeIsLowerBound bool
}

// Age is how long the socket has been ended, or in its other state, at the time now. It
// is a lower bound, unless the peer has sent its FIN with an old ACK: then it can be too large by
// the time between two scans, and by any time for a socket of the first scan.
func (s *Socket) Age(now time.Time) time.Duration { return max(now.Sub(s.Since), 0) }

// Quiet is how long nothing has moved on the socket at the time now: empty send queue, no
// retransmit or probe timer, no byte sent, acknowledged or received.
func (s *Socket) Quiet(now time.Time) time.Duration {
	if s.QuietSince.IsZero() {
		return 0
	}
	return max(now.Sub(s.QuietSince), 0)
}

// compare gives sockets of the same age a stable order.
func (id SocketID) compare(other SocketID) int {
	if c := cmp.Or(cmp.Compare(id.NetNS, other.NetNS), cmp.Compare(id.Cookie, other.Cookie)); c != 0 || id.Cookie != 0 {
		return c
	}
	if id == other {
		return 0
	}
	a, b := id.tuple.Value(), other.tuple.Value()
	return cmp.Or(a.local.Compare(b.local), a.remote.Compare(b.remote), cmp.Compare(a.inode, b.inode))
}
