package diagnose

import (
	"fmt"
	"net/netip"
	"time"

	"closewait_exporter/closewait"
)

const (
	// stale is the age from which an ended or waiting socket counts: a program that works closes
	// within that time, also on a busy host.
	stale = 5 * time.Second
	// blocked is the time from which a wait counts: an answer that takes longer is slow anywhere.
	blocked = time.Second
	// old is the age from which a leak is not confused with load: clients have given up by then.
	old = time.Minute
)

// evaluation has the facts, and what several rules conclude from them.
type evaluation struct {
	*Facts
	ended  closewait.Holding // ended sockets on which nothing moves
	leak   closewait.Holding // those of them that are stale
	moving int               // ended sockets on which something moves
	queues []Socket          // listeners whose accept queue does not move
}

// rules are the checks, by their kind. The cause comes before its effects.
var rules = map[Kind]func(*evaluation) *Verdict{
	Halted: halted, WaitsForItself: waitsForItself, WaitsForPeer: waitsForPeer,
	Overload: overload, OutOfDescriptors: outOfDescriptors,
	AcceptQueue: acceptQueue, Uninterruptible: uninterruptible,
	HalfCloseProxy: halfCloseProxy, Shared: shared,
	NeverReads: neverReads, NeverCloses: neverCloses, IdlePool: idlePool,
	Unconnected: unconnected, PeerKeepsOpen: peerKeepsOpen, HalfClose: halfClose,
}

// Diagnose returns the first verdict that the facts support. Without one it says that nothing is
// wrong only if everything that would show it could be read.
func Diagnose(f *Facts) Verdict {
	e := newEvaluation(f)
	for _, kind := range Kinds {
		if v := rules[kind](e); v != nil {
			v.Kind = kind
			if v.Next == "" {
				v.Next = e.stacks()
			}
			return *v
		}
	}
	return e.remainder()
}

func newEvaluation(f *Facts) *evaluation {
	e := &evaluation{Facts: f}
	moved := map[[2]netip.AddrPort]bool{}
	for _, s := range f.Sockets {
		moved[[2]netip.AddrPort{s.Local, s.Remote}] = s.Moved && s.State == Ending
	}
	var ended, leak []*closewait.Socket
	for _, s := range f.Holder.Ended.Sockets {
		if s.State == closewait.CloseWait && moved[[2]netip.AddrPort{s.Local, s.Remote}] {
			e.moving++
			continue
		}
		ended = append(ended, s)
		if isStale(s, f.Taken) {
			leak = append(leak, s)
		}
	}
	e.ended, e.leak = closewait.NewHolding(ended), closewait.NewHolding(leak)
	for _, s := range f.Sockets {
		if s.State == Listening && s.RecvQueue > 0 && !s.Moved && s.QueueAge >= blocked {
			e.queues = append(e.queues, s)
		}
	}
	return e
}

// isStale reports whether a socket counts as leaked. When a connection was over on both sides is
// not known: such a socket counts if it was there for a moment.
func isStale(s *closewait.Socket, now time.Time) bool {
	if s.State == closewait.Closed && s.AgeIsLowerBound {
		return s.Age(now) >= blocked
	}
	return s.Age(now) >= stale && s.Quiet(now) >= stale
}

// suffers reports whether there is a sign that clients are kept waiting, or sockets.
func (e *evaluation) suffers() bool { return e.leak.Len() > 0 || len(e.queues) > 0 }

// remainder is the verdict if no kind fits.
func (e *evaluation) remainder() Verdict {
	v := Verdict{Kind: Unknown, Confidence: Possible, Next: e.again()}
	waiting := 0
	for _, s := range e.Holder.Unaccepted.Sockets {
		if s.Age(e.Taken) >= blocked {
			waiting++
		}
	}
	switch {
	case e.leak.Len() > 0:
		v.Summary = fmt.Sprintf("It holds %s for no reason that the facts show.", count(e.leak.Len(), "ended socket"))
	case waiting > 0:
		v.Summary = fmt.Sprintf("%s that the client has already closed %s in its accept queue.",
			count(waiting, "connection"), is(waiting))
	case !e.SocketsKnown || !e.CallsKnown:
		v.Summary = "No ended socket is known, but not everything could be read."
	case e.oldest() >= blocked:
		v.Summary = fmt.Sprintf("Its ended sockets are too young (%s at most) to tell a leak from traffic.", seconds(e.oldest()))
	default:
		return Verdict{Kind: NothingWrong, Confidence: Likely, Summary: "Nothing is wrong with its connections.", Evidence: e.healthy()}
	}
	v.Evidence = append(e.leakEvidence(), e.threadEvidence()...)
	return v
}

// oldest is the age of the oldest ended socket on which nothing moves.
func (e *evaluation) oldest() time.Duration { return e.ended.Oldest(e.Taken) }

// healthy lists what was checked.
func (e *evaluation) healthy() []string {
	listeners, connections, waiting := 0, 0, uint32(0)
	for _, s := range e.Sockets {
		switch s.State {
		case Listening:
			listeners++
			waiting += s.RecvQueue
		case Established:
			connections++
		}
	}
	return append([]string{
		fmt.Sprintf("%s, %s, %s with %d waiting to be accepted.",
			count(e.Holder.Ended.Len(), "ended socket"), count(connections, "open connection"), count(listeners, "listener"), waiting),
	}, e.threadEvidence()...)
}
