package policy

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
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

// candidateSockets are the sockets of the process in the states that the rule counts, oldest first.
// All conditions apply to each state alike: a client can close a socket in CLOSE_WAIT at any time
// by a RST.
func (e *evaluation) candidateSockets() iter.Seq[*closewait.Socket] {
	return func(yield func(*closewait.Socket) bool) {
		ended, other := e.Ended.Sockets, []*closewait.Socket(nil)
		if e.rule.When.CountsOthers() {
			other = e.Other.Sockets
		}
		for len(ended)+len(other) > 0 {
			next := &ended
			if len(ended) == 0 || len(other) > 0 && other[0].Since.Before(ended[0].Since) {
				next = &other
			}
			s := (*next)[0]
			*next = (*next)[1:]
			if e.rule.When.States.Has(s.State) && !yield(s) {
				return
			}
		}
	}
}

// collect finds the sockets of the process that are evidence, oldest first, and the processes that
// must be ended with it to free them.
func (e *evaluation) collect() {
	if e.complete {
		return
	}
	e.complete = true
	cutoff, shared, left := e.cutoff(), false, e.rule.When.Candidates(e.Holder)
	e.d.Excluded.State = int32(e.d.Held - left)
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
	e.d.Counting, e.d.Closed = len(e.evidence), 0
	for _, s := range e.evidence {
		if s.State == closewait.Closed {
			e.d.Closed++
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

// endedSince is the time since which a socket counts as ended. For a rule that can end a
// process that is when a scan first saw it: a peer can forge the age that the kernel shows.
func (e *evaluation) endedSince(s *closewait.Socket) time.Time {
	if e.policy.ends[e.index] && !e.policy.trustKernelAges {
		return s.FirstSeen
	}
	return s.Since
}

// openedBy reports whether a process can have opened or accepted a socket of a user itself, or root
// has done so for it, such as a service manager, or the process itself before it changed its user.
// The kernel gives a socket the user that opens it. If that is another user, the socket was handed
// over (SCM_RIGHTS, exec), and says nothing about the process.
func openedBy(p *closewait.Process, uid uint32) bool {
	const root = 0
	return uid == p.UID || uid == root
}

// observedTime is the time since then in which the process ran and was observed.
func (e *evaluation) observedTime(since time.Time) time.Duration {
	if since.Before(e.observedSince) {
		since = e.observedSince
	}
	return e.ran(since, e.view.Taken)
}

// cutoff is the latest time since which a socket must have been ended, and quiet, to be
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
	case !openedBy(&e.Process, s.UID):
		return &reasons.Handed
	case s.State.Ended() && e.ForwardsHalfCloses() && !e.rule.When.States.Has(closewait.FinWait2):
		return &reasons.Relayed
	}
	for i := range exclusions {
		if c := &exclusions[i]; c.Excludes(conditionsOf(e, s), s) {
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

// conditionsOf returns the conditions that a socket is compared with.
func conditionsOf(e *evaluation, s *closewait.Socket) *condition.When {
	if !e.directionAssumed || !hasUnknownDirection(s) {
		return &e.rule.When
	}
	anyDirection := e.rule.When
	anyDirection.Direction = condition.AnyDirection
	return &anyDirection
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
			case openedBy(&p.Process, s.UID):
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
