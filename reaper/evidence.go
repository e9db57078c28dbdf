package reaper

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// plain tells whether the first few sockets are evidence enough. Most processes have all
// descriptors that they need, and then it need not be known how much there is.
func (q *inquiry) plain() bool {
	cutoff, ends, left := q.cutoff(), q.policy.ends[q.index], q.wanted()
	for s := range q.suspects() {
		if s.Since.After(cutoff) || q.discount(s, cutoff) != nil || ends && len(s.Holders) > 1 {
			return false
		}
		if left--; left == 0 {
			return true
		}
	}
	return false
}

// suspects are the sockets of the process that the rule looks at, oldest first.
func (q *inquiry) suspects() iter.Seq[*closewait.Socket] {
	return func(yield func(*closewait.Socket) bool) {
		held, defunct := q.Held.Sockets, q.defunct()
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

// defunct are those of the process where the rule counts them. What a rule says of sockets holds for both
// kinds alike: a client turns one into the other by a RST whenever it likes.
func (q *inquiry) defunct() []*closewait.Socket {
	if !q.rule.When.IncludeDefunct {
		return nil
	}
	return q.Defunct.Sockets
}

// collect finds the sockets of the process that count against it, oldest first, and who else has
// to be ended for their sake.
func (q *inquiry) collect() {
	if q.complete {
		return
	}
	q.complete = true
	cutoff, shared, left := q.cutoff(), false, q.Held.Len()+len(q.defunct())
	q.d.Discounted.Defunct = int32(q.d.Held - left)
	for s := range q.suspects() {
		if s.Since.After(cutoff) { // and so are all that follow
			q.d.Discounted.Young = int32(left)
			break
		}
		left--
		if reason := q.discount(s, cutoff); reason != nil {
			*reason++
			continue
		}
		shared = shared || len(s.Holders) > 1
		q.evidence = append(q.evidence, s)
	}
	if shared && q.policy.ends[q.index] {
		q.dropShared()
	}
	q.count()
	q.measure()
}

func (q *inquiry) count() {
	q.d.Counting, q.d.Defunct = len(q.evidence), 0
	for _, s := range q.evidence {
		if s.Defunct {
			q.d.Defunct++
		}
	}
}

// discount finds the count of those sockets that are no evidence for the same reason as this one;
// nil for evidence.
func (q *inquiry) discount(s *closewait.Socket, cutoff time.Time) *int32 {
	switch reasons := &q.d.Discounted; {
	case s.QuietSince.IsZero() || s.QuietSince.After(cutoff):
		return &reasons.Moving
	case s.FirstSeen.After(q.last):
		return &reasons.Once
	case !s.Accepted():
		return &reasons.Unaccepted
	case !q.rule.When.Direction.Wants(s.Direction):
		return &reasons.Direction
	case q.foreign(s):
		return &reasons.Foreign
	case q.rule.Ignore.Matches(&s.Facts):
		return &reasons.Ignored
	}
	return nil
}

// foreign tells whether another group holds the socket too, or a process of which nothing is known.
func (q *inquiry) foreign(s *closewait.Socket) bool {
	return slices.ContainsFunc(s.Holders, func(id closewait.ProcessID) bool {
		if id == q.ID {
			return false
		}
		m := q.next.memories[id]
		return m == nil || m.group != q.group
	})
}

// dropShared takes away what ending this process would not free: sockets that others hold too,
// unless each of them is a process that the rule would end for the evidence that it holds itself.
// They are then ended together.
func (q *inquiry) dropShared() {
	for {
		holders := q.coholders()
		before := len(q.evidence)
		q.evidence = slices.DeleteFunc(q.evidence, func(s *closewait.Socket) bool {
			return slices.ContainsFunc(s.Holders, func(id closewait.ProcessID) bool { return id != q.ID && !holders[id] })
		})
		q.d.Discounted.Shared += int32(before - len(q.evidence))
		if len(q.evidence) == before {
			q.with = q.with[:0]
			for id := range holders {
				q.with = append(q.with, q.next.memories[id])
			}
			slices.SortFunc(q.with, func(a, b *memory) int { return cmp.Compare(a.ID.PID, b.ID.PID) })
			return
		}
	}
}

// coholders are the other holders of the evidence, and whether each can be ended together with this
// process.
func (q *inquiry) coholders() map[closewait.ProcessID]bool {
	sockets := map[closewait.ProcessID]int{}
	for _, s := range q.evidence {
		for _, id := range s.Holders {
			if id != q.ID {
				sockets[id]++
			}
		}
	}
	holders := make(map[closewait.ProcessID]bool, len(sockets))
	for id, n := range sockets {
		holders[id] = n >= q.wanted() && q.endable(q.next.memories[id])
	}
	return holders
}

// endable tells whether the rule could end the process if it had enough evidence of its own.
func (q *inquiry) endable(m *memory) bool {
	return q.judge(m, q.index) == matches && q.protected(m) == "" && running(&m.Process) && q.rule.When.FDs.reached(&m.Process)
}
