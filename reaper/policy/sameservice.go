package policy

import (
	"fmt"
	"slices"

	"closewait_exporter/closewait"
)

// foreign reports whether a process of another service, or an unknown process, holds the socket
// too. It remembers the first one for Explain.
func (e *evaluation) foreign(s *closewait.Socket) bool {
	return slices.ContainsFunc(s.Holders, func(id closewait.ProcessID) bool {
		if id == e.ID {
			return false
		}
		p := e.next.byID[id]
		if p != nil && e.sameService(p) {
			return false
		}
		if e.d.Excluded.ForeignHolder == "" {
			e.d.Excluded.ForeignHolder = describeForeign(id, e.processState, p)
		}
		return true
	})
}

// sameService reports whether another process belongs to the same service: it is of the same group
// or, because a comm says little about a service, the rule matches both, neither has a group but
// its comm, and both run as the same user.
func (e *evaluation) sameService(p *processState) bool {
	return p.group == e.group || onlyCommsDiffer(e.processState, p) && e.match(p, e.index) == matches
}

func onlyCommsDiffer(a, b *processState) bool {
	return a.UID == b.UID && groupedByComm(a) && groupedByComm(b)
}

func groupedByComm(p *processState) bool { return p.GroupedByComm() && !p.GroupUnknown }

func describeForeign(id closewait.ProcessID, e, p *processState) string {
	switch {
	case p == nil:
		return fmt.Sprintf("pid %d, about which nothing is known", id.PID)
	case onlyCommsDiffer(e, p):
		return fmt.Sprintf("pid %d, %q of the same user: they count if match also covers it", id.PID, p.group)
	}
	return fmt.Sprintf("pid %d of %q: they never count", id.PID, p.group)
}

// limitGroups returns the limitGroup of every process that holds the evidence, in the order of the
// alphabet. Limits count the leak under the first, so that it does not matter which process a
// decision is about.
func (e *evaluation) limitGroups() []string {
	groups := []string{e.limitGroup}
	if e.policy.ends[e.index] {
		for _, p := range e.with {
			groups = append(groups, p.limitGroup)
		}
	} else {
		for _, s := range e.evidence {
			for _, id := range s.Holders {
				if p := e.next.byID[id]; id != e.ID && p.limitGroup != groups[len(groups)-1] {
					groups = append(groups, p.limitGroup)
				}
			}
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}
