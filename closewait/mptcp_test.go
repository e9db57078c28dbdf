package closewait

import (
	"net/netip"
	"testing"
	"time"
)

// TestWhatIsUnreadOfMPTCPIsKnownOnlyIfThereAreBytes holds because nothing shows whether a program
// has read the end of such a connection.
func TestWhatIsUnreadOfMPTCPIsKnownOnlyIfThereAreBytes(t *testing.T) {
	for _, c := range []struct {
		mptcp     bool
		recvQueue uint32
		want      Unread
		bytes     uint64
	}{
		{false, 0, UnreadNone, 0}, {false, 1, UnreadFIN, 0}, {false, 6, UnreadData, 5},
		{true, 0, UnreadUnknown, 0}, {true, 6, UnreadData, 5},
	} {
		s := &Socket{Facts: Facts{MPTCP: c.mptcp, RecvQueue: c.recvQueue}}
		h := NewHolding([]*Socket{s})
		counted := 0
		for _, class := range Unreads {
			counted += h.Unread[class]
		}
		if s.Unread() != c.want || h.UnreadBytes != c.bytes || (counted == 1) != (c.want != UnreadUnknown) {
			t.Errorf("MPTCP %v, receive queue %d: %v, %d bytes, in %d counts, want %v and %d", c.mptcp, c.recvQueue, s.Unread(), h.UnreadBytes, counted, c.want, c.bytes)
		}
	}
}

// TestTheFirstAgeOfMPTCPIsALowerBound holds because its paths have keepalive timers of their own.
func TestTheFirstAgeOfMPTCPIsALowerBound(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	sample := SocketSample{
		Facts:    Facts{ID: CookieID(1, 2), Local: netip.MustParseAddrPort("192.0.2.1:80"), Remote: netip.MustParseAddrPort("192.0.2.2:9"), Inode: 3},
		HasTimes: true, SinceLastAck: time.Minute,
	}
	for _, mptcp := range []bool{false, true} {
		sample.MPTCP = mptcp
		if s := newSocket(&sample, now, time.Time{}); s.AgeIsLowerBound != mptcp || s.Age(now) != time.Minute {
			t.Errorf("MPTCP %v: age %v, a lower bound: %v", mptcp, s.Age(now), s.AgeIsLowerBound)
		}
		if s := newSocket(&sample, now, now.Add(-time.Hour)); s.AgeIsLowerBound {
			t.Errorf("MPTCP %v: a lower bound, though the last scan has read the namespace", mptcp)
		}
	}
}
