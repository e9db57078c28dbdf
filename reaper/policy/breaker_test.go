package policy

import (
	"fmt"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// services returns processes with n leaked sockets each, of services that begin with a name.
func services(name string, count, n int) (holders []*closewait.Holder) {
	for i := range count {
		id := closewait.ProcessID{PID: 100*len(name) + i, Start: 1}
		holders = append(holders, holder(id, sockets(n, uint64(1000*len(name)+10*i), hour), unit(fmt.Sprint(name, i, ".service"))))
	}
	return holders
}

// workers returns processes of one service with n leaked sockets each.
func workers(count, n int) []*closewait.Holder {
	holders := services("worker", count, n)
	for _, h := range holders {
		h.Unit = "workers.service"
	}
	return holders
}

func count(decisions []Decision, label Label) (n int) {
	for i := range decisions {
		if decisions[i].Label == label {
			n++
		}
	}
	return n
}

func TestTheBreaker(t *testing.T) {
	scenarios := map[string]struct {
		holders      []*closewait.Holder
		acts, breaks int
	}{
		"two of two are not enough for it":                     {services("web", 2, 2), 2, 0},
		"three of three trip it":                               {services("web", 3, 2), 0, 3},
		"three of five are more than half":                     {append(services("web", 3, 2), services("fine", 2, 1)...), 0, 3},
		"three of six are not":                                 {append(services("web", 3, 2), services("fine", 3, 1)...), 3, 0},
		"it counts before the budget admits some of them":      {services("web", 8, 2), 0, 8},
		"more than the budget, but not more than healthy ones": {append(services("web", 4, 2), services("fine", 4, 1)...), 3, 0},
		"workers of one service are not many services":         {workers(8, 2), 1, 0},
		"many healthy workers are one healthy service":         {append(services("web", 3, 2), workers(5, 1)...), 0, 3},
		"workers that leak do not hide that all services leak": {append(services("web", 2, 2), workers(5, 2)...), 0, 7},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			p := policy(rule())
			v := func(minutes time.Duration) *closewait.View { return view(minutes*time.Minute, s.holders...) }
			_, state := p.Decide(v(0), State{})
			decisions, state := p.Decide(v(1), state)
			if acts, breaks := count(decisions, LabelAct), count(decisions, LabelBreaker); acts != s.acts || breaks != s.breaks {
				t.Errorf("%d act, %d breaker, want %d and %d: %s", acts, breaks, s.acts, s.breaks, describe(decisions))
			}
			decisions, _ = p.Decide(v(2), state)
			if suspended := describe(decisions) == "leak suspended"; suspended != (s.breaks > 0) {
				t.Errorf("a round later: %s", describe(decisions))
			}
		})
	}
}

func TestTheBreakerLetsGoAfterTheCooldown(t *testing.T) {
	h := &simulation{t: t, policy: policy(rule()), holders: leaking(alice, bob, carol)}
	h.round(0, "leak/10 pending, leak/11 pending, leak/12 pending")
	h.round(time.Minute, "leak/10 breaker, leak/11 breaker, leak/12 breaker")
	h.holders = leaking(alice)
	for at := 2 * time.Minute; at < 11*time.Minute; at += time.Minute {
		h.round(at, "leak suspended")
	}
	h.round(11*time.Minute, "leak/10 act")
}

// TestAnIncidentThatArrivesSpreadTripsTheBreaker has one service after the other reach what the
// rule asks for, and restarts the exporter each time.
func TestAnIncidentThatArrivesSpreadTripsTheBreaker(t *testing.T) {
	for name, restarts := range map[string]bool{"in one run": false, "with a restart of the exporter in between": true} {
		t.Run(name, func(t *testing.T) {
			c := config(rule())
			c.Limits.Actions = 100
			h := &simulation{t: t, policy: New(c, Options{Enforce: true})}
			h.round(0, "")
			for i, leak := range services("web", 5, 2) {
				at := time.Duration(i+1) * 2 * time.Minute
				if restarts && i > 0 {
					h.restart(at - time.Minute)
					_, h.state = h.policy.Decide(view(at-time.Minute, leak), h.state)
				}
				decisions, next := h.policy.Decide(view(at, leak), h.state)
				h.state = next
				h.end(at, decisions, false)
				if want := []string{"act", "act", "breaker", "suspended", "suspended"}[i]; decisions[0].Label != Label(want) {
					t.Errorf("service %d: %s, want %s", i, describe(decisions), want)
				}
			}
		})
	}
}

// TestWhatIsStillYoungIsNotHealthy has an incident that reaches one service after the other, faster
// than sockets become old enough: the services that it has reached last must not count as healthy.
func TestWhatIsStillYoungIsNotHealthy(t *testing.T) {
	fine := services("fine", 2, 1)
	for name, young := range map[string]func(*closewait.Holder){
		"young sockets": func(h *closewait.Holder) {
			h.Ended = closewait.NewHolding(sockets(2, uint64(20*h.ID.PID), time.Minute))
		},
		"descriptors left": func(h *closewait.Holder) { h.OpenFDs = 10 },
		"sockets that move": func(h *closewait.Holder) {
			h.Ended = closewait.NewHolding(sockets(2, uint64(20*h.ID.PID), hour, moving))
		},
		"unknown file limit": func(h *closewait.Holder) { h.FDsKnown = false },
	} {
		t.Run(name, func(t *testing.T) {
			h := &simulation{t: t, policy: manyActions(fds(0.1, 0)), holders: append(services("web", 8, 2), fine...)}
			for _, late := range h.holders[3:8] {
				young(late)
			}
			_, h.state = h.policy.Decide(view(0), h.state)
			decisions, _ := h.policy.Decide(view(time.Minute, h.holders...), h.state)
			if count(decisions, LabelBreaker) != 3 {
				t.Fatalf("%s", describe(decisions))
			}
			if got, want := decisions[0].Reason(), "the rule would have acted on 3 groups within 10m0s, and matches 2 healthy ones"; got != want {
				t.Errorf("the reason is %q, want %q", got, want)
			}
		})
	}
}

func TestIndependentLeaksDoNotTripTheBreaker(t *testing.T) {
	c := config(rule())
	c.Limits.Actions, c.Interval = 100, time.Hour
	h := &simulation{t: t, policy: New(c, Options{Enforce: true})}
	h.round(0, "")
	for i, leak := range services("web", 8, 2) {
		at := time.Duration(i+1) * 6 * time.Minute
		h.holders = []*closewait.Holder{leak}
		h.end(at, h.round(at, fmt.Sprintf("leak/%d act", leak.ID.PID)), false)
	}
}

// TestADeniedRemediationDoesNotTripTheBreaker: clients can make a rule with a guard ask it as often
// as they like, so that a guard that denies must not suspend the rule.
func TestADeniedRemediationDoesNotTripTheBreaker(t *testing.T) {
	h := &simulation{t: t, policy: manyActions()}
	h.round(0, "")
	all, together := services("web", 5, 2), 0
	for at := 30 * time.Second; at < time.Hour; at += 30 * time.Second {
		h.holders = all[:min(len(h.holders)+2, len(all))]
		decisions, next := h.policy.Decide(view(at, h.holders...), h.state)
		h.state = next
		if count(decisions, LabelBreaker)+count(decisions, LabelSuspended) > 0 {
			t.Fatalf("after %s: %s", at, describe(decisions))
		}
		together = max(together, count(decisions, LabelAct))
		h.end(at, decisions, true)
	}
	if together < minBreakerGroups {
		t.Errorf("at most %d at once: the test tries too little", together)
	}
}

// TestABreakerInDryRunStopsNoRuleThatActs changes the mode of a rule.
func TestABreakerInDryRunStopsNoRuleThatActs(t *testing.T) {
	h := &simulation{t: t, policy: policy(rule(func(r *rules.Rule) { r.Mode = rules.DryRun })), holders: leaking(alice, bob, carol)}
	h.round(0, "leak/10 pending, leak/11 pending, leak/12 pending")
	h.round(time.Minute, "leak/10 breaker, leak/11 breaker, leak/12 breaker")
	h.policy, h.holders = policy(rule()), leaking(alice)
	h.round(2*time.Minute, "leak/10 act")
}
