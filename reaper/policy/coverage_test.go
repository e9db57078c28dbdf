package policy

import (
	"slices"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// inFlight adds sockets of a user to a View that no process holds, as far as could be read.
func inFlight(v *closewait.View, n int, user uint32) *closewait.View {
	list := sockets(n, 1000*uint64(len(v.Ownerless)+1), hour, openedByUser(user), func(s *closewait.Socket) { s.Owner = closewait.OwnerUnresolved })
	v.Ownerless = append(v.Ownerless, list...)
	return v
}

// TestNoUserStopsRulesForOthersBySocketsInFlight: any user can put sockets in flight, which have no
// known owner on a host with a process that cannot be read.
func TestNoUserStopsRulesForOthersBySocketsInFlight(t *testing.T) {
	const root, web, other = 0, 33, 1000
	leak := func(user uint32, n int) *closewait.Holder {
		return holder(alice, sockets(n, 1, hour, openedByUser(user)), uid(user))
	}
	many := func(user uint32) *closewait.Holder {
		return holder(bob, sockets(500, 501, 0, openedByUser(user), moving), uid(user), exe("/opt/other"))
	}
	scenarios := map[string]struct {
		leak  *closewait.Holder
		view  func(...*closewait.Holder) *closewait.View
		want  string
		about string
	}{
		"of another user": {leak(web, 2), func(h ...*closewait.Holder) *closewait.View {
			return inFlight(view(time.Minute, h...), 300, other)
		}, "leak/10 act", ""},
		"of another user than root": {leak(root, 2), func(h ...*closewait.Holder) *closewait.View {
			return inFlight(view(time.Minute, h...), 300, other)
		}, "leak/10 act", ""},
		"of the same user": {leak(web, 2), func(h ...*closewait.Holder) *closewait.View {
			return inFlight(view(time.Minute, h...), 1, web)
		}, "leak/10 low_coverage", "the owners of 66.7% of the sockets that its user or root has opened are known, 95% required"},
		"of root, which the process may hold": {leak(web, 2), func(h ...*closewait.Holder) *closewait.View {
			return inFlight(view(time.Minute, h...), 1, root)
		}, "leak/10 low_coverage", "66.7%"},
		"of root, and so is the process": {leak(root, 2), func(h ...*closewait.Holder) *closewait.View {
			return inFlight(view(time.Minute, h...), 1, root)
		}, "leak/10 low_coverage", "66.7%"},
		"of root in a container": {leak(root, 2), func(h ...*closewait.Holder) *closewait.View {
			v := inFlight(view(time.Minute, h...), 300, root)
			for _, s := range v.Ownerless {
				s.ID = closewait.CookieID(77, s.ID.Cookie)
			}
			return v
		}, "leak/10 act", ""},
		"of the same user, among many of others": {leak(web, 2), func(h ...*closewait.Holder) *closewait.View {
			return inFlight(view(time.Minute, append(h, many(other))...), 1, web)
		}, "leak/10 low_coverage", "66.7%"},
		"of the same user, among many of this user": {leak(web, 2), func(h ...*closewait.Holder) *closewait.View {
			return inFlight(view(time.Minute, append(h, many(web))...), 20, web)
		}, "leak/10 act", ""},
		"of the same user, and every process could be read": {leak(web, 2), func(h ...*closewait.Holder) *closewait.View {
			v := inFlight(view(time.Minute, h...), 20, web)
			for _, s := range v.Ownerless {
				s.Owner = closewait.OwnedByKernel
			}
			return v
		}, "leak/10 act", ""},
		"of the same user, and they have just come": {leak(web, 2), func(h ...*closewait.Holder) *closewait.View {
			v := inFlight(view(time.Minute, h...), 20, web)
			for _, s := range v.Ownerless {
				s.FirstSeen = v.Taken
			}
			v.Transient = len(v.Ownerless)
			return v
		}, "leak/10 act", ""},
		"of the same user, without enough evidence": {leak(web, 1), func(h ...*closewait.Holder) *closewait.View {
			return inFlight(view(time.Minute, h...), 20, web)
		}, "leak/10 pending", ""},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			after := play(t, policy(rule()), []observation{{view(0, s.leak), "leak/10 pending", ""}, {s.view(s.leak), s.want, s.about}})
			if want := s.want == "leak/10 low_coverage"; after.LowCoverage() != want {
				t.Errorf("LowCoverage is %v, want %v", after.LowCoverage(), want)
			}
		})
	}
}

func TestARoundWithLowCoverageDoesNotInterruptFor(t *testing.T) {
	at := func(minutes time.Duration) *closewait.View {
		return view(minutes*time.Minute, holder(alice, sockets(2, 1, hour)))
	}
	play(t, policy(rule(func(r *rules.Rule) { r.When.For = 2 * time.Minute })), []observation{
		{at(0), "leak/10 pending", ""}, {at(1), "leak/10 pending", ""}, {inFlight(at(2), 3, 0), "leak/10 pending", ""},
		{inFlight(at(3), 3, 0), "leak/10 low_coverage", ""}, {at(4), "leak/10 act", ""},
	})
}

func TestCoverageIsCheckedAgainBeforeEachStep(t *testing.T) {
	p := policy(rule())
	at := func(at time.Duration) *closewait.View {
		return view(at, holder(alice, sockets(2, 1, hour, openedByUser(33)), uid(33)))
	}
	_, s := p.Decide(at(0), State{})
	decisions, s := p.Decide(at(time.Minute), s)
	i := slices.IndexFunc(decisions, func(d Decision) bool { return d.Acts() })
	for user, want := range map[uint32]Label{33: condition.LabelLowCoverage, 0: condition.LabelLowCoverage, 1000: unlabelled} {
		if again := p.Recheck(inFlight(at(2*time.Minute), 10, user), s, &decisions[i], 0, factsOf(&decisions[i])); again.Label != want {
			t.Errorf("sockets in flight of user %d: %q because of %q, want %q", user, again.Label, again.Why, want)
		}
	}
}
