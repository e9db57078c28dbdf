package policy

import (
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// started sets when a process started, after the epoch.
func started(at time.Duration) func(*closewait.Process) {
	return func(p *closewait.Process) { p.StartTime = epoch.Add(at) }
}

// userAndComm sets the user of a process, and its comm.
func userAndComm(id uint32, comm string) func(*closewait.Process) {
	return func(p *closewait.Process) { p.UID, p.Comm = id, comm }
}

// worker returns a leaking process of web.service.
func worker(pid int, start time.Duration) *closewait.Holder {
	id := closewait.ProcessID{PID: pid, Start: uint64(start/time.Second) + 1e6}
	return holder(id, sockets(2, uint64(10*pid), hour), unit("web.service"), started(start))
}

func manyActions(change ...func(*rules.Rule)) *Policy {
	c := config(rule(change...))
	c.Limits.Actions = 100
	return New(c, Options{Enforce: true})
}

func TestWorkersOfAServiceAreEndedOneAfterTheOther(t *testing.T) {
	h := &simulation{t: t, policy: manyActions(), holders: []*closewait.Holder{worker(10, -time.Hour), worker(11, -time.Hour), worker(12, -time.Hour), worker(13, -time.Hour)}}
	h.round(0, "leak/10 pending, leak/11 pending, leak/12 pending, leak/13 pending")
	for at := time.Minute; len(h.holders) > 1; at += time.Minute {
		decisions, next := h.policy.Decide(view(at, h.holders...), h.state)
		h.state = next
		if count(decisions, LabelAct) != 1 || count(decisions, "in_progress") != len(h.holders)-1 {
			t.Fatalf("after %s: %s", at, describe(decisions))
		}
		if decisions[0].Relapses != 0 {
			t.Errorf("after %s: %d relapses, though nothing came back", at, decisions[0].Relapses)
		}
		h.end(at, decisions, false)
		h.holders = h.holders[1:]
	}
}

func TestARelapseIsALeakOfAProcessThatStartedAfterTheAction(t *testing.T) {
	h := &simulation{t: t, policy: manyActions(), holders: []*closewait.Holder{worker(10, -time.Hour)}}
	h.round(0, "leak/10 pending")
	h.end(time.Minute, h.round(time.Minute, "leak/10 act"), false)

	h.holders = []*closewait.Holder{worker(20, time.Minute+time.Second), worker(11, -time.Hour)}
	h.end(3*time.Minute, h.round(3*time.Minute, "leak/11 act, leak/20 cooldown"), false)
	h.holders = h.holders[:1]
	h.round(6*time.Minute, "leak/20 cooldown")
	h.round(9*time.Minute, "leak/20 cooldown")
	h.round(12*time.Minute, "leak/20 cooldown") // the action on the other worker was at minute 3
	decisions := h.round(13*time.Minute, "leak/20 act")
	h.end(13*time.Minute, decisions, false)

	h.holders = []*closewait.Holder{worker(30, 13*time.Minute+time.Second), worker(21, 2*time.Minute)}
	decisions = h.round(15*time.Minute, "leak/21 act, leak/30 cooldown")
	if why := decisions[1].Reason(); !strings.HasPrefix(why, "18m0s left, 1 relapse") {
		t.Errorf("the reason is %q, want a cooldown that was doubled", why)
	}
}

// TestAProcessWithoutAKnownStartIsARelapse: it is the careful assumption.
func TestAProcessWithoutAKnownStartIsARelapse(t *testing.T) {
	unknown := worker(11, -time.Hour)
	unknown.StartTime = time.Time{}
	h := &simulation{t: t, policy: manyActions(), holders: []*closewait.Holder{worker(10, -time.Hour), unknown}}
	h.round(0, "leak/10 pending, leak/11 pending")
	h.end(time.Minute, h.round(time.Minute, "leak/10 act, leak/11 in_progress"), false)
	h.round(2*time.Minute, "leak/10 cooldown, leak/11 cooldown")
}

func TestARestartOfTheExporterForgetsNoTarget(t *testing.T) {
	h := &simulation{t: t, policy: manyActions(), holders: []*closewait.Holder{worker(10, -time.Hour), worker(11, -time.Hour)}}
	h.round(0, "leak/10 pending, leak/11 pending")
	h.end(time.Minute, h.round(time.Minute, "leak/10 act, leak/11 in_progress"), false)
	h.restart(2 * time.Minute)
	h.round(2*time.Minute, "leak/10 pending, leak/11 pending")
	h.round(3*time.Minute, "leak/11 act, leak/10 cooldown")
}

func TestTheGroupOfACommIsOfOneUser(t *testing.T) {
	other := func(change ...func(*closewait.Process)) *closewait.Holder {
		return holder(alice, sockets(2, 1, hour), change...)
	}
	scenarios := map[string]struct {
		other *closewait.Holder
		want  string
	}{
		"the same user":      {other(userAndComm(7, "java")), "leak/11 in_progress"},
		"another user":       {other(userAndComm(8, "java")), "leak/11 act"},
		"a unit of the name": {other(userAndComm(7, "x"), unit("java")), "leak/11 act"},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			leak := holder(bob, sockets(2, 11, hour), userAndComm(7, "java"))
			h := &simulation{t: t, policy: manyActions(), holders: []*closewait.Holder{s.other, leak}}
			h.round(0, "leak/10 pending, leak/11 pending")
			h.end(time.Minute, h.round(time.Minute, "leak/10 act, "+s.want), false)
			if strings.HasSuffix(s.want, "act") {
				return
			}
			h.holders = []*closewait.Holder{leak}
			h.round(2*time.Minute, "leak/11 cooldown")
		})
	}
}

func TestARemediationThatDidNothingCostsNothing(t *testing.T) {
	c := config(rule())
	c.Limits.Actions = 1
	h := &simulation{t: t, policy: New(c, Options{Enforce: true}), holders: leaking(alice)}
	left := func(want int, at time.Duration) {
		t.Helper()
		if got := h.state.BudgetLeft(rules.Enforce, epoch.Add(at), c.Limits); got != want {
			t.Fatalf("after %s %d actions are left, want %d", at, got, want)
		}
	}
	h.round(0, "leak/10 pending")
	decisions := h.round(time.Minute, "leak/10 act")
	left(0, time.Minute)
	h.end(time.Minute, decisions, true)
	left(1, time.Minute)
	if n := len(h.state.limiters[rules.Enforce].cooldowns); n != 0 {
		t.Errorf("%d cooldowns, want none", n)
	}
	decisions = h.round(2*time.Minute-1, "leak/10 cooldown")
	if got, want := decisions[0].Reason(), "0s left, 0 relapses: the last remediation did nothing, next attempt after 1m0s"; got != want {
		t.Errorf("the reason is %q, want %q", got, want)
	}
	h.holders = leaking(alice, bob) // bob comes first, although it is not worse
	decisions = h.round(150*time.Second, "leak/11 act, leak/10 budget")
	h.end(150*time.Second, decisions, true)
	left(1, 150*time.Second)
}

func TestAttemptsThatDoNothingBecomeRarer(t *testing.T) {
	h := &simulation{t: t, policy: policy(rule()), holders: leaking(alice)}
	h.round(0, "leak/10 pending")
	now, pause := time.Minute, time.Minute
	for range 8 {
		h.end(now, h.round(now, "leak/10 act"), true)
		for at := now + time.Minute; at < now+pause; at += time.Minute {
			h.round(at, "leak/10 cooldown")
		}
		now += pause
		pause = min(2*pause, 10*time.Minute)
	}
	decisions := h.round(now, "leak/10 act")
	if decisions[0].Relapses != 0 {
		t.Errorf("%d relapses, though nothing was done", decisions[0].Relapses)
	}
	h.end(now, decisions, false)
	h.round(now+time.Minute, "leak/10 cooldown")
}

// TestWhatWasThereBeforeAReservationComesBack has an action, and then a remediation that does
// nothing on the same group.
func TestWhatWasThereBeforeAReservationComesBack(t *testing.T) {
	h := &simulation{t: t, policy: manyActions(), holders: []*closewait.Holder{worker(10, -time.Hour), worker(11, -time.Hour)}}
	h.round(0, "leak/10 pending, leak/11 pending")
	h.end(time.Minute, h.round(time.Minute, "leak/10 act, leak/11 in_progress"), false)
	h.end(2*time.Minute, h.round(2*time.Minute, "leak/11 act, leak/10 cooldown"), true)
	for at := 3 * time.Minute; at < 11*time.Minute; at += 2 * time.Minute {
		decisions, next := h.policy.Decide(view(at, h.holders[0]), h.state)
		if h.state = next; describe(decisions) != "leak/10 cooldown" {
			t.Fatalf("after %s: %s", at, describe(decisions))
		}
	}
	decisions, _ := h.policy.Decide(view(11*time.Minute, h.holders[0]), h.state)
	if !decisions[0].Acts() || decisions[0].Relapses != 0 {
		t.Errorf("%s with %d relapses", describe(decisions), decisions[0].Relapses)
	}
}

// TestAReservationThatIsFoundAtStartIsSpent saves the state between the decision and the first
// step, as kill -9 leaves it.
func TestAReservationThatIsFoundAtStartIsSpent(t *testing.T) {
	h := &simulation{t: t, policy: policy(rule()), holders: leaking(alice)}
	h.round(0, "leak/10 pending")
	decisions := h.round(time.Minute, "leak/10 act")
	h.restart(2 * time.Minute)
	if left := h.state.BudgetLeft(rules.Enforce, epoch.Add(2*time.Minute), rules.Limits{Actions: 3, Per: 10 * time.Minute}); left != 2 {
		t.Errorf("%d actions are left, want 2", left)
	}
	h.round(3*time.Minute, "leak/10 pending")
	h.end(3*time.Minute, decisions, true) // its result is too late
	h.round(4*time.Minute, "leak/10 cooldown")
}
