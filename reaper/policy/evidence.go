package policy

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// fewAreEnough reports whether the oldest sockets alone are enough evidence. Most processes have
// enough descriptors left, and then a later check ends the evaluation without the rest of the
// evidence.
func (e *evaluation) fewAreEnough() bool {
	cutoff, ends, left := e.cutoff(), e.policy.ends[e.index], e.rule.When.MinSockets()
	for s := range e.candidateSockets() {
		if e.exclusionOf(s, cutoff) != nil || ends && len(s.Holders) > 1 {
			return false
		}
		if left--; left == 0 {
			return true
		}
	}
	return false
}

// candidateSockets are the sockets of the process that the rule may count, oldest first.
func (e *evaluation) candidateSockets() iter.Seq[*closewait.Socket] {
	return func(yield func(*closewait.Socket) bool) {
		held, defunct := e.Held.Sockets, e.defunct()
		for len(held)+len(defunct) > 0 {
			next := &held
			if len(held) == 0 || len(defunct) > 0 && defunct[0].Since.Before(held[0].Since) {
				next = &defunct
			}
			if !yield((*next)[0]) {
				return
			}
			*next = (*next)[1:]
		}
	}
}

// defunct are the defunct sockets that the rule may count. All conditions apply to them as to
// sockets in CLOSE_WAIT: a client can turn one kind into the other at any time by a RST.
func (e *evaluation) defunct() []*closewait.Socket {
	if !e.rule.When.IncludeDefunct {
		return nil
	}
	return e.Defunct.Sockets
}

// collect finds the sockets of the process that are evidence, oldest first, and the processes that
// must be ended with it to free them.
func (e *evaluation) collect() {
	if e.complete {
		return
	}
	e.complete = true
	cutoff, shared, left := e.cutoff(), false, e.Held.Len()+len(e.defunct())
	e.d.Excluded.Defunct = int32(e.d.Held - left)
	for s := range e.candidateSockets() {
		if s.Since.After(cutoff) { // and so are all that follow
			e.d.Excluded.Young += int32(left)
			break
		}
		left--
		if reason := e.exclusionOf(s, cutoff); reason != nil {
			*reason++
			continue
		}
		shared = shared || len(s.Holders) > 1
		e.evidence = append(e.evidence, s)
	}
	if shared && e.policy.ends[e.index] {
		e.dropShared()
	}
	e.count()
	e.measure()
}

func (e *evaluation) count() {
	e.d.Counting, e.d.Defunct = len(e.evidence), 0
	for _, s := range e.evidence {
		if s.Defunct {
			e.d.Defunct++
		}
	}
}

// measure finds the age of the youngest evidence, and the time since the last traffic.
func (e *evaluation) measure() {
	var ended, moved time.Time // the latest of each
	for _, s := range e.evidence {
		since := e.endedSince(s)
		ended, moved = latest(ended, since), latest(moved, latest(since, s.QuietSince))
	}
	if len(e.evidence) > 0 {
		e.d.Age = e.observedTime(ended)
		e.d.Quiet = e.observedTime(moved)
	}
}

// endedSince is the time since which a socket counts as in CLOSE_WAIT. For a rule that can end a
// process that is when a scan first saw it: a peer can forge the age that the kernel shows.
func (e *evaluation) endedSince(s *closewait.Socket) time.Time {
	if e.policy.ends[e.index] && !e.policy.trustKernelAges {
		return s.FirstSeen
	}
	return s.Since
}

// openedBy reports whether a process has opened or accepted a socket itself, or root has done so
// for it, such as a service manager, or the process itself before it changed its user. The kernel
// gives a socket the user that opens it. If that is another user, the socket was handed over
// (SCM_RIGHTS, exec), and says nothing about the process.
func openedBy(p *closewait.Process, s *closewait.Socket) bool {
	const root = 0
	return s.UID == p.UID || s.UID == root
}

// observedTime is the time since then in which the process ran and was observed.
func (e *evaluation) observedTime(since time.Time) time.Duration {
	if since.Before(e.observedSince) {
		since = e.observedSince
	}
	return e.ran(since, e.view.Taken)
}

// cutoff is the latest time since which a socket must have been in CLOSE_WAIT, and quiet, to be
// evidence. Time in which the process could not run or was not observed does not count; the zero
// time excludes all sockets.
func (e *evaluation) cutoff() time.Time {
	cutoff := e.ranFor(e.rule.When.Age, e.view.Taken)
	if cutoff.Before(e.observedSince) {
		return time.Time{}
	}
	return cutoff
}

// exclusionOf returns the counter of the reason why a socket is not evidence; nil for evidence.
func (e *evaluation) exclusionOf(s *closewait.Socket, cutoff time.Time) *int32 {
	reasons := &e.d.Excluded
	switch {
	case s.QuietSince.IsZero() || s.QuietSince.After(cutoff):
		return &reasons.Moving
	case s.FirstSeen.After(e.last):
		return &reasons.Once
	case e.endedSince(s).After(cutoff):
		return &reasons.Young
	case !s.Accepted():
		return &reasons.Unaccepted
	case !openedBy(&e.Process, s):
		return &reasons.Handed
	}
	for i := range exclusions {
		if c := &exclusions[i]; c.Excludes(&e.rule.When, s) {
			return reasons.By(c)
		}
	}
	switch {
	case e.foreign(s):
		return &reasons.Foreign
	case e.rule.Ignore.Matches(&s.Facts):
		return &reasons.Ignored
	}
	return nil
}

// dropShared removes the sockets that ending this process would not free: sockets with another
// holder that the rule would not end for its own evidence. The remaining holders are ended together
// with this process.
func (e *evaluation) dropShared() {
	for {
		holders := e.otherHolders()
		before := len(e.evidence)
		e.evidence = slices.DeleteFunc(e.evidence, func(s *closewait.Socket) bool {
			return slices.ContainsFunc(s.Holders, func(id closewait.ProcessID) bool { return id != e.ID && !holders[id] })
		})
		e.d.Excluded.Shared += int32(before - len(e.evidence))
		if len(e.evidence) == before {
			e.with = e.with[:0]
			for id := range holders {
				e.with = append(e.with, e.next.byID[id])
			}
			slices.SortFunc(e.with, func(a, b *processState) int { return cmp.Compare(a.ID.PID, b.ID.PID) })
			return
		}
	}
}

// otherHolders returns the other holders of the evidence, and whether each can be ended together
// with this process.
func (e *evaluation) otherHolders() map[closewait.ProcessID]bool {
	sockets := map[closewait.ProcessID]int{}
	for _, s := range e.evidence {
		for _, id := range s.Holders {
			switch p := e.next.byID[id]; {
			case id == e.ID:
			case openedBy(&p.Process, s):
				sockets[id]++
			default:
				sockets[id] += 0 // it must not be ended for a socket that was handed to it
			}
		}
	}
	holders := make(map[closewait.ProcessID]bool, len(sockets))
	for id, n := range sockets {
		holders[id] = n >= e.rule.When.MinSockets() && e.couldEnd(e.next.byID[id])
	}
	return holders
}

// couldEnd reports whether the rule could end the process if it had enough evidence of its own.
func (e *evaluation) couldEnd(p *processState) bool {
	if e.match(p, e.index) != matches || e.protectionOf(p) != "" {
		return false
	}
	for i := range checks {
		if of := checks[i].OfProcess; of != nil && !of(&e.rule.When, &p.Process) {
			return false
		}
	}
	return true
}
