package closewait

import (
	"cmp"
	"net/netip"
	"time"
	"unique"
)

// NetNS is a network namespace, named by the inode number of its /proc/PID/ns/net.
type NetNS uint64

// SocketID identifies a socket for as long as it lives: the kernel's cookie within a network
// namespace or, where no cookie is known, the addresses and the inode.
type SocketID struct {
	NetNS  NetNS
	Cookie uint64 // 0 where the engine does not know it
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

// TupleID identifies a socket by its addresses and inode, for engines that know no cookie. A socket
// that is accepted gets its inode then, so it counts as another socket from there on.
func TupleID(ns NetNS, local, remote netip.AddrPort, inode uint64) SocketID {
	return SocketID{NetNS: ns, tuple: unique.Make(tuple{local, remote, inode})}
}

// Facts are what the kernel says of a socket that only change when something happens to it. They
// are comparable: equal Facts in two scans mean that nothing moved in between.
type Facts struct {
	ID            SocketID
	Local, Remote netip.AddrPort // v4-mapped addresses stay mapped: they tell the family
	Interface     uint32         // index of the interface that it is bound to; 0 = none, or not known
	Inode         uint64         // of the socket file; 0 = not accepted yet
	UID           uint32         // of the socket file
	RecvQueue     uint32         // bytes, the unread FIN counts as one
	SendQueue     uint32         // bytes not yet acknowledged by the peer
	Timer         Timer
	Direction     Direction
	BytesSent     uint64 // of the connection, retransmits included; 0 where unknown
	BytesAcked    uint64 // of the connection; 0 where unknown
	BytesReceived uint64 // of the connection; 0 where unknown

	// Defunct says that the socket was connected once and is in state CLOSE now: it stands in no table,
	// and costs a descriptor all the same. A peer's RST, a keepalive without answer and SOCK_DESTROY do that.
	Defunct bool
}

// Family tells IPv4 and IPv6 apart. A v4-mapped socket is an IPv6 socket.
func (f *Facts) Family() Family {
	if f.Local.Addr().Is4() {
		return IPv4
	}
	return IPv6
}

// Port is the service port: the local one of an inbound connection, else the remote one.
func (f *Facts) Port() uint16 {
	if f.Direction == Inbound {
		return f.Local.Port()
	}
	return f.Remote.Port()
}

// Accepted tells whether the program has, or had, a descriptor for the socket.
func (f *Facts) Accepted() bool { return f.Inode != 0 }

// UnreadBytes is the payload that the program has not read: the receive queue without the FIN.
func (f *Facts) UnreadBytes() uint64 {
	return uint64(max(f.RecvQueue, 1) - 1)
}

// Unread tells what the program has not read. Data is always followed by the unread FIN, so a
// receive queue of one byte is the FIN alone.
func (f *Facts) Unread() Unread {
	switch f.RecvQueue {
	case 0:
		return UnreadNone
	case 1:
		return UnreadFIN
	}
	return UnreadData
}

// LocalPeer tells whether the peer is on this host: both ends have the same address, or the peer
// has a loopback address.
func (f *Facts) LocalPeer() bool {
	remote := f.Remote.Addr().Unmap()
	return remote.IsLoopback() || remote == f.Local.Addr().Unmap()
}

// idle tells whether the kernel has nothing left to do for the connection. A keepalive timer is
// idle: it asks for a sign of life and moves no data. So is all that is defunct.
func (f *Facts) idle() bool {
	return f.Defunct || f.SendQueue == 0 && f.Timer != TimerRetransmit && f.Timer != TimerProbe
}

// SocketSample is what one scan saw of one socket, in CLOSE_WAIT or defunct.
type SocketSample struct {
	Facts
	Owner   Owner
	Holders []ProcessID // who holds the socket or, while it is unaccepted, its listener; not to be changed

	// Idle times before Snapshot.Taken, from tcp_info; meaningless where HasTimes is false, and not asked
	// for of a defunct socket: no ACK tells when it became one.
	HasTimes      bool
	SinceLastAck  time.Duration // the FIN carried an ACK; keepalive answers reset it
	SinceLastData time.Duration // the younger of sent and received
}

// Socket is a socket in CLOSE_WAIT, or defunct, as the Tracker knows it. It is never changed: when something
// happens to the socket, a new Socket takes its place in later Views.
type Socket struct {
	Facts
	Owner      Owner
	Holders    []ProcessID
	FirstSeen  time.Time // when a scan first saw it
	Since      time.Time // in CLOSE_WAIT at least since then; one first seen defunct: defunct
	QuietSince time.Time // nothing moved since then; zero while something is moving
}

// Age is how long the socket is known to have been in CLOSE_WAIT at the time now, and defunct after
// that. It is a lower bound: never more than the truth.
func (s *Socket) Age(now time.Time) time.Duration { return max(now.Sub(s.Since), 0) }

// Quiet is for how long nothing has moved on the socket at the time now: empty send queue, no
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
