package closewait

import "time"

// Holder is a process with its sockets: in CLOSE_WAIT, and defunct.
type Holder struct {
	Process
	Held       Holding // sockets that it has a descriptor for
	Unaccepted Holding // sockets in the accept queues of its listeners
	Defunct    Holding // sockets that it has a descriptor for, whose connection is over on both sides
	Entered    uint64  // sockets that came to the process in CLOSE_WAIT, as far as scans saw it
	Left       uint64  // sockets that left the process or CLOSE_WAIT, such as those that became defunct
}

// Total is the number of sockets: held, unaccepted and defunct.
func (h *Holder) Total() int { return h.Held.Len() + h.Unaccepted.Len() + h.Defunct.Len() }

// Oldest is the age of the oldest socket of any kind at the time now.
func (h *Holder) Oldest(now time.Time) time.Duration {
	return max(h.Held.Oldest(now), h.Unaccepted.Oldest(now), h.Defunct.Oldest(now))
}
