package closewait

import "time"

// newSocket makes the Socket of a first sample. read is when the namespace was last read before,
// zero if never. The FIN carried an ACK and only answers to keepalives can follow it, so the time
// since the last ACK is a lower bound of the age. A peer can send a FIN with an old ACK, which does
// not count as one, but the socket has entered CLOSE_WAIT after the last scan without it. Nothing
// says when a socket was closed.
func newSocket(sample *SocketSample, now, read time.Time) *Socket {
	s := &Socket{Facts: sample.Facts, Owner: sample.Owner, Holders: sample.Holders, Contested: sample.Contested, FirstSeen: now, Since: now}
	keptAlive := sample.Timer == TimerKeepalive || sample.MPTCP // whose paths have keepalive timers of their own
	s.AgeIsLowerBound = read.IsZero() && (!sample.HasTimes || sample.State != CloseWait || keptAlive)
	quiet := now
	if sample.HasTimes && sample.State == CloseWait {
		age := sample.SinceLastAck
		if !read.IsZero() {
			age = max(min(age, now.Sub(read)), 0)
		}
		s.Since = now.Add(-age)
		quiet = now.Add(-min(age, sample.SinceLastData))
	}
	if sample.idle() {
		s.QuietSince = quiet
	}
	return s
}

// sameConnection reports whether a socket still has the same connection. A program can dissolve a
// connection and connect the socket again (connect(2), AF_UNSPEC): the socket keeps its cookie and
// inode and gets new addresses. If it is bound to a port and connects to the same peer again, its
// addresses are the same too, and it counts as the same connection.
func (s *Socket) sameConnection(sample *SocketSample) bool {
	return s.Local == sample.Local && s.Remote == sample.Remote
}

// complete returns a sample of the socket with what is known from before and not from the sample:
// the direction, and the counters of bytes, which a scan does without where the kernel blocks them.
// In CLOSE_WAIT at least a FIN was received, and in FIN_WAIT2 one was acknowledged, which counts.
func (s *Socket) complete(sample *SocketSample) *SocketSample {
	direction := s.Direction.refine(sample.Direction)
	open := sample.State == CloseWait || sample.State == FinWait2
	uncounted := open && !sample.counted() && s.counted()
	if direction == sample.Direction && !uncounted || !s.sameConnection(sample) {
		return sample
	}
	known := *sample // the Snapshot belongs to the scanner
	known.Direction = direction
	if uncounted {
		known.BytesSent, known.BytesAcked, known.BytesReceived = s.BytesSent, s.BytesAcked, s.BytesReceived
	}
	return &known
}

// after returns the Socket after something has happened to it. Being accepted or passed to another
// process moves nothing on the connection, and neither does its end, which empties the queues of a
// socket.
func (s *Socket) after(sample *SocketSample, now time.Time) *Socket {
	next := *s
	next.Facts, next.Owner, next.Holders, next.Contested = sample.Facts, sample.Owner, sample.Holders, sample.Contested
	switch {
	case !sample.idle():
		next.QuietSince = time.Time{}
	case s.QuietSince.IsZero() || sample.State.Listed() && moved(&s.Facts, &sample.Facts):
		next.QuietSince = now
	}
	return &next
}

// moved reports whether data has moved between two samples.
func moved(a, b *Facts) bool {
	return a.RecvQueue != b.RecvQueue || a.SendQueue != b.SendQueue ||
		a.BytesSent != b.BytesSent || a.BytesAcked != b.BytesAcked || a.BytesReceived != b.BytesReceived
}
