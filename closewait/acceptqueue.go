package closewait

// AcceptQueue is the queue of connections that a listener has not accepted yet.
type AcceptQueue struct {
	Length  uint32 // connections, in any state
	Backlog uint32 // the length above which the kernel accepts no more, as listen(2) has set it
	Known   bool   // whether the other two could be read
}

// Ratio is the length in terms of the backlog: 0 if it is empty, 1 or a bit more if it is full. It
// is false if it is not known.
func (q AcceptQueue) Ratio() (ratio float64, known bool) {
	return float64(q.Length) / float64(max(q.Backlog, 1)), q.Known
}

// AcceptQueues describes the accept queues of the listeners of a process.
type AcceptQueues struct {
	Fullest AcceptQueue // in terms of its backlog
	// Contested is the maximum number of sockets in CLOSE_WAIT in its contested queues: they share an
	// address with the queue of another process, and both are not empty. Nothing shows which
	// connection is in which queue; the length of each queue is known.
	Contested int
	// Inexact says that fewer may wait in those queues, because other connections wait there too.
	Inexact bool
}

// UnacceptedCount is the number of sockets in CLOSE_WAIT in the accept queues of the process. Where
// several queues share an address, it is the number in its own queues, exact or, if exact is false,
// at most; Unaccepted then has the sockets of all of these queues.
func (h *Holder) UnacceptedCount() (n int, exact bool) {
	contested := h.Unaccepted.Contested
	n = h.Unaccepted.Len() - contested + min(contested, h.Queues.Contested)
	return n, contested == 0 || !h.Queues.Inexact
}
