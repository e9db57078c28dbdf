package diagnose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// halted applies to a process that something outside of it keeps from running.
func halted(e *evaluation) *Verdict {
	if e.Halted == "" {
		return nil
	}
	return &Verdict{
		Confidence: Sure,
		Summary:    "It cannot run: " + e.Halted + ".",
		Evidence:   e.leakEvidence(),
		Next:       fmt.Sprintf("grep -E 'State|TracerPid' /proc/%d/status; cat /proc/%d/cgroup", e.Holder.ID.PID, e.Holder.ID.PID),
	}
}

// unserved reports whether a connection goes to the process itself, and the request on it has not
// been read, or the connection not even accepted.
func (s *Socket) unserved() bool {
	return s.State == Established && !s.Inbound &&
		(s.Peer.Place == OwnQueue || s.Peer.Place == OwnProcess && s.Peer.Unread > 0)
}

// unanswered reports whether a connection goes to the process itself, which has read the request,
// and has not answered for long.
func (s *Socket) unanswered(between time.Duration) bool {
	return s.State == Established && !s.Inbound && s.Peer.Place == OwnProcess && s.Peer.Unread == 0 &&
		s.awaitsAnswer() && s.waited(between) >= stale
}

// answersNot applies to a process that has read requests of its own and does not answer, while its
// clients are kept waiting: as with goroutines, which read a request before they wait for a place.
func answersNot(e *evaluation) *Verdict {
	var waiting []Socket
	for _, s := range e.Sockets {
		if s.unanswered(e.Between) {
			waiting = append(waiting, s)
		}
	}
	if len(waiting) == 0 || !e.suffers() {
		return nil
	}
	return &Verdict{
		Confidence: Possible,
		Summary: fmt.Sprintf("It waits for itself: %s to its own port %d %s read, and not answered.",
			count(len(waiting), "request"), waiting[0].Remote.Port(), is(len(waiting))),
		Evidence: append([]string{fmt.Sprintf("The newest of these requests was sent %s ago, and nothing was received since.", seconds(shortest(waiting)))},
			append(e.queueEvidence(), e.leakEvidence()...)...),
	}
}

// waitsForItself applies to a process that has sent requests to itself which it does not read: all
// who could do so are waiting for the answers, or for something that does not happen.
func waitsForItself(e *evaluation) *Verdict {
	var unserved []Socket
	queued, unread := 0, 0
	for _, s := range e.Sockets {
		if s.unserved() && s.awaitsAnswer() && s.waited(e.Between) >= blocked {
			unserved = append(unserved, s)
			if s.Peer.Place == OwnQueue {
				queued++
			} else {
				unread++
			}
		}
	}
	if len(unserved) == 0 {
		return answersNot(e)
	}
	v := &Verdict{Confidence: Likely}
	port := unserved[0].Remote.Port()
	v.Summary = fmt.Sprintf("It waits for itself: %s to its own port %d %s not served.", count(len(unserved), "request"), port, is(len(unserved)))
	threads := map[string]int{}
	total := 0
	for _, w := range e.waits() {
		if w.socket.unserved() {
			threads[stem(w.Name)]++
			total++
		}
	}
	for _, name := range sortedByCount(threads) {
		n, pool := threads[name], e.pool(name)
		v.Evidence = append(v.Evidence, fmt.Sprintf("%d of %s named %q wait for an answer of this process.", n, count(pool, "thread"), name))
		if n == pool && total == len(unserved) {
			v.Confidence = Sure
		}
	}
	if queued > 0 {
		v.Evidence = append(v.Evidence, fmt.Sprintf("The other end of %s is in its own accept queue.", count(queued, "connection")))
	}
	if unread > 0 {
		v.Evidence = append(v.Evidence, fmt.Sprintf("The other end of %s is accepted, with %d bytes that it has not read.", count(unread, "connection"), unreadBytes(unserved)))
	}
	v.Evidence = append(v.Evidence, fmt.Sprintf("The newest of these requests was sent %s ago, and nothing was received since.", seconds(shortest(unserved))))
	v.Evidence = append(v.Evidence, e.leakEvidence()...)
	return v
}

func unreadBytes(sockets []Socket) (n uint32) {
	for _, s := range sockets {
		n += s.Peer.Unread
	}
	return n
}

func shortest(sockets []Socket) time.Duration {
	return slices.MinFunc(sockets, func(a, b Socket) int { return cmp.Compare(a.SinceSent, b.SinceSent) }).SinceSent
}

// sortedByCount returns the names, the most frequent first.
func sortedByCount(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

// waitsForPeer applies to a process most of whose workers wait for the answer of one service, while
// its own clients are kept waiting.
func waitsForPeer(e *evaluation) *Verdict {
	if !e.suffers() {
		return nil
	}
	type target struct{ pool, remote string }
	groups := map[target][]threadWait{}
	var best target
	for _, w := range e.waits() {
		if w.socket.Inbound || !w.socket.awaitsAnswer() || w.socket.Peer.Place == OwnProcess {
			continue
		}
		key := target{stem(w.Name), address(w.socket.Remote)}
		groups[key] = append(groups[key], w)
		if n, most := len(groups[key]), len(groups[best]); n > most || n == most && key.remote < best.remote {
			best = key
		}
	}
	waiting, pool := groups[best], e.pool(best.pool)
	if len(waiting) == 0 || 2*len(waiting) < pool {
		return nil
	}
	v := &Verdict{Confidence: Likely}
	v.Summary = fmt.Sprintf("Its workers wait for %s: %d of %s named %q.", best.remote, len(waiting), count(pool, "thread"), best.pool)
	shortest, connecting, fds := time.Duration(-1), 0, []int{}
	for _, w := range waiting {
		fds = append(fds, w.socket.FD)
		if w.socket.State == Connecting {
			connecting++
		} else if waited := w.socket.waited(e.Between); shortest < 0 || waited < shortest {
			shortest = waited
		}
	}
	if shortest >= 0 {
		v.Evidence = append(v.Evidence, fmt.Sprintf("The last request was sent %s ago, without an answer since (descriptor %s).", seconds(shortest), first(fds, 5)))
	}
	if connecting > 0 {
		v.Evidence = append(v.Evidence, isAre(connecting, "connection")+" not even established.")
	}
	if p := waiting[0].socket.Peer; p.Place == OtherProcess && p.PID != 0 {
		v.Evidence = append(v.Evidence, fmt.Sprintf("The other end is process %d (%s) on this host.", p.PID, p.Comm))
		v.Next = fmt.Sprintf("closewait_exporter diagnose %d", p.PID)
	}
	v.Evidence = append(v.Evidence, e.queueEvidence()...)
	v.Evidence = append(v.Evidence, e.leakEvidence()...)
	return v
}

// acceptQueue applies to a process with a listener from which it does not accept connections.
func acceptQueue(e *evaluation) *Verdict {
	if len(e.queues) == 0 {
		return nil
	}
	v := &Verdict{Confidence: Likely, Evidence: e.queueEvidence()}
	worst := e.queues[0]
	v.Summary = fmt.Sprintf("It does not accept connections on %s: %d wait, the oldest for %s.",
		address(worst.Local), worst.RecvQueue, seconds(worst.QueueAge))
	watched, still := false, e.CallsKnown && e.ThreadsOmitted == 0
	for _, t := range e.Threads {
		watched = watched || slices.Contains(t.FDs, worst.FD)
		still = still && t.Still
	}
	switch {
	case len(worst.Others) > 0:
		v.Confidence = Possible
		v.Evidence = append(v.Evidence, fmt.Sprintf("Other processes hold this listener, and may be those that have to accept: pid %s.", first(worst.Others, 8)))
		v.Next = fmt.Sprintf("closewait_exporter diagnose %d", worst.Others[0])
	case watched:
		v.Confidence = Possible
		v.Evidence = append(v.Evidence, "A thread waits for events of this listener, and does not take the connections.")
	case still:
		v.Confidence = Sure
	}
	if still && !watched {
		v.Evidence = append(v.Evidence, "No thread waits for this listener, and none has run in between.")
	}
	v.Evidence = append(v.Evidence, e.threadEvidence()...)
	v.Evidence = append(v.Evidence, e.leakEvidence()...)
	return v
}

func (e *evaluation) queueEvidence() (lines []string) {
	for _, s := range e.queues {
		lines = append(lines, fmt.Sprintf("Accept queue of %s (descriptor %d): %d of at most %d, the oldest for %s.",
			address(s.Local), s.FD, s.RecvQueue, s.SendQueue, seconds(s.QueueAge)))
	}
	return lines
}

// uninterruptible applies to a process with a thread that is blocked in the kernel.
func uninterruptible(e *evaluation) *Verdict {
	if !e.suffers() {
		return nil
	}
	n, tid, function := 0, 0, ""
	for _, t := range e.Threads {
		if t.State == 'D' && t.Still {
			n, tid, function = n+1, t.TID, t.Kernel
		}
	}
	if n == 0 {
		return nil
	}
	return &Verdict{
		Confidence: Likely,
		Summary:    fmt.Sprintf("%s of %d %s blocked in the kernel%s.", count(n, "thread"), len(e.Threads), is(n), inside(function)),
		Evidence:   append(e.leakEvidence(), e.threadEvidence()...),
		Next:       fmt.Sprintf("cat /proc/%d/task/%d/stack", e.Holder.ID.PID, tid),
	}
}
