package closewait

import "time"

// Holder is a process with its sockets.
type Holder struct {
	Process
	Ended      Holding // sockets that it has a descriptor for and whose connection has ended: its leak
	Unaccepted Holding // sockets in CLOSE_WAIT in the accept queues of its listeners
	Other      Holding // sockets that it has a descriptor for, in the states of OtherStates
	Entered    uint64  // ended sockets that came to the process, as far as scans saw it
	Left       uint64  // ended sockets whose descriptors are gone from the process, or the process from them
	Ports      PortUse // to the remote end to which it holds most sockets
}

// Total is the number of sockets: ended, unaccepted and in other states.
func (h *Holder) Total() int { return h.Ended.Len() + h.Unaccepted.Len() + h.Other.Len() }

// Oldest is the age of the oldest ended or unaccepted socket at the time now.
func (h *Holder) Oldest(now time.Time) time.Duration {
	return max(h.Ended.Oldest(now), h.Unaccepted.Oldest(now))
}

// ForwardsHalfCloses reports whether the process holds at least half as many sockets in FinWait2 as
// ended ones. A proxy that passes half-closes on does: one side of a connection has closed, the
// proxy has told the other side, and waits for it. The cause is at that other side.
func (h *Holder) ForwardsHalfCloses() bool {
	ended, told := h.Ended.Len(), h.Other.States[FinWait2]
	return ended > 0 && 2*told >= ended
}

// fill is the share of the limit of descriptors that is in use, 0 to 1; 0 where one is not known.
func (h *Holder) fill() float64 {
	ratio, _ := h.FDRatio()
	return min(ratio, 1)
}
