package policy

import (
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
)

// stuckReason is why a process counts as halted although nothing has stopped it.
const stuckReason = "no thread of it has run since the last round"

// maxPauses is the maximum number of pauses that are kept for a process. Then the two oldest become
// one, with the time between them.
const maxPauses = 64

// pause is a time in which a process could not run.
type pause struct{ from, to time.Time }

// Watched returns the processes that some rule could act on. The caller reads the Activity of each
// after the View, and passes them to State.LearnActivities before Decide.
func (p *Policy) Watched(view *closewait.View, s State) []*closewait.Process {
	s = s.under(p)
	var watched []*closewait.Process
	for _, h := range view.Holders {
		if p.watches(&s, h) {
			watched = append(watched, &h.Process)
		}
	}
	return watched
}

func (p *Policy) watches(s *State, h *closewait.Holder) bool {
	before := s.byID[h.ID]
	if before != nil && (s.evaluatedBy != p || !sameProgram(&before.Process, &h.Process)) {
		before = nil
	}
	for i := range p.rules {
		rule := &p.rules[i]
		if !concerns(rule, h) {
			continue
		}
		if before != nil && rule.Match.Command == nil && before.rules[i].matchState != notMatchedYet {
			if before.rules[i].matchState == matches {
				return true
			}
			continue
		}
		if ok, _ := rule.Match.MatchesBy(s.matches.fits, &h.Process, func() (string, error) { return s.command(&h.Process) }); ok {
			return true
		}
	}
	return false
}

// LearnActivities is the State with the activities of processes that were read for the next round.
func (s State) LearnActivities(activities map[closewait.ProcessID]closewait.Activity) State {
	s.activities = activities
	return s
}

// observe finds out whether the process could run since the last round. After it was stopped,
// traced or frozen, everything starts again, because it needs time for the work that has piled up.
// While it was merely stuck, as in a read from a disk that does not answer, its clock stands still.
//
// A process that was found unable to run may have stayed so until just before this round, so the
// whole time between the two rounds does not count.
func (p *processState) observe(before *processState, activity *closewait.Activity, last, now time.Time) {
	if before == nil {
		before = &processState{}
	}
	p.activity, p.pauses = activity, before.pauses
	if activity != nil && activity.Halted != "" {
		p.halt(activity.Halted)
	}
	p.halted = !condition.Running(&p.Process)
	known := activity != nil && before.activity != nil
	p.stuck = known && activity.StuckSince(before.activity)
	switch {
	case p.halted || before.halted || known && activity.FrozenSince(before.activity):
		p.observedSince, p.pauses = now, nil
	case p.stuck || before.stuck:
		p.pauses = withPause(p.pauses, pause{last, now})
	}
	if p.stuck && !p.halted {
		p.halt(stuckReason)
	}
}

// halt notes why the process cannot run. The Holder belongs to the View, so it is copied.
func (p *processState) halt(why string) {
	halted := *p.Holder
	halted.Halted = why
	p.Holder = &halted
}

// withPause returns pauses with a later one. It leaves the given slice as it is, because other
// goroutines may read it.
func withPause(pauses []pause, next pause) []pause {
	pauses = slices.Clone(pauses)
	if n := len(pauses); n > 0 && !pauses[n-1].to.Before(next.from) {
		pauses[n-1].to = next.to
		return pauses
	}
	pauses = append(pauses, next)
	if len(pauses) > maxPauses {
		pauses[1].from = pauses[0].from
		pauses = pauses[1:]
	}
	return pauses
}

// ran is the time between two moments in which the process could run.
func (p *processState) ran(from, to time.Time) time.Duration {
	d := to.Sub(from)
	for _, s := range p.pauses {
		if s.to.After(from) && s.from.Before(to) {
			d -= earliest(s.to, to).Sub(latest(s.from, from))
		}
	}
	return d
}

// ranFor returns the moment since which the process could run for a time, until now.
func (p *processState) ranFor(d time.Duration, now time.Time) time.Time {
	for _, s := range slices.Backward(p.pauses) {
		ran := now.Sub(s.to)
		if ran >= d {
			break
		}
		d -= ran
		now = s.from
	}
	return now.Add(-d)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
