package policy

import (
	"regexp"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// simulation is a host with permanent leaks, on which remediations end at once.
type simulation struct {
	t       *testing.T
	policy  *Policy
	state   State
	holders []*closewait.Holder
}

func (h *simulation) round(at time.Duration, want string) []Decision {
	h.t.Helper()
	decisions, s := h.policy.Decide(view(at, h.holders...), h.state)
	h.state = s
	if got := describe(decisions); got != want {
		h.t.Fatalf("after %s\n got %s\nwant %s", at, got, want)
	}
	return decisions
}

func (h *simulation) end(at time.Duration, decisions []Decision, idle bool) {
	for _, d := range decisions {
		if d.Acts() {
			h.state = h.state.Ended(RunResult{ID: d.ID(), Mode: d.Rule.Mode, At: epoch.Add(at), NoAction: idle})
		}
	}
}

// restart ends the program at once, and starts it with the state file.
func (h *simulation) restart(at time.Duration) {
	h.t.Helper()
	data, err := h.state.Encode(epoch.Add(at), thisBoot)
	if err == nil {
		h.state, err = State{}.Decode(data, epoch.Add(at), thisBoot)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func leaking(ids ...closewait.ProcessID) (holders []*closewait.Holder) {
	for i, id := range ids {
		holders = append(holders, holder(id, sockets(2, uint64(10*i+1), hour)))
	}
	return holders
}

func TestACooldownIsDoubledAtEachRelapse(t *testing.T) {
	longInterval := config(rule())
	longInterval.Interval, longInterval.Limits = 10*time.Hour, rules.Limits{Actions: 100, Per: time.Minute}
	h := &simulation{t: t, policy: New(longInterval, Options{Enforce: true}), holders: leaking(alice)}
	h.round(0, "leak/10 pending")
	now, cooldown := time.Minute, 10*time.Minute
	for range 9 {
		h.end(now, h.round(now, "leak/10 act"), false)
		h.round(now+cooldown-time.Second, "leak/10 cooldown")
		now += cooldown
		cooldown = min(2*cooldown, 64*10*time.Minute)
	}
}

func TestPeaceForAsLongAgainIsNoRelapse(t *testing.T) {
	c := config(rule())
	c.Interval = 10 * time.Hour
	h := &simulation{t: t, policy: New(c, Options{Enforce: true}), holders: leaking(alice)}
	h.round(0, "leak/10 pending")
	h.end(time.Minute, h.round(time.Minute, "leak/10 act"), false)
	h.end(21*time.Minute, h.round(21*time.Minute, "leak/10 act"), false)
	h.round(31*time.Minute, "leak/10 act")
}

func TestLimits(t *testing.T) {
	short := func(r *rules.Rule) { r.Cooldown = time.Second }
	c := config(rule(short), rule(short, func(r *rules.Rule) { r.Name, r.Match.Exe = "more", regexp.MustCompile("/opt/more") }))
	c.Limits = rules.Limits{Actions: 2, Per: 10 * time.Minute}
	h := &simulation{t: t, policy: New(c, Options{Enforce: true}), holders: leaking(alice, bob, carol)}
	h.holders[2].Exe = "/opt/more"
	h.round(0, "leak/10 pending, leak/11 pending, more/12 pending")
	first := h.round(time.Minute, "leak/10 act, leak/11 act, more/12 budget")
	if got, want := first[2].Reason(), "1 actions required, 0 left within limits"; got != want {
		t.Errorf("the reason is %q, want %q", got, want)
	}
	h.end(time.Minute, first, false)
	for at := 2 * time.Minute; at < 11*time.Minute; at += time.Minute {
		h.round(at, "leak/10 budget, leak/11 budget, more/12 budget")
	}
	h.round(11*time.Minute, "leak/10 act, leak/11 act, more/12 budget")
}

func TestAReloadResetsNothing(t *testing.T) {
	c := config(rule())
	c.Limits.Actions = 1
	h := &simulation{t: t, policy: New(c, Options{Enforce: true}), holders: leaking(alice, bob)}
	h.round(0, "leak/10 pending, leak/11 pending")
	acted := h.round(time.Minute, "leak/10 act, leak/11 budget")
	h.policy = New(c, Options{Enforce: true})
	h.round(2*time.Minute, "leak/11 budget, leak/10 in_progress")
	h.end(2*time.Minute, acted, false)
	h.policy = New(c, Options{Enforce: true})
	h.round(3*time.Minute, "leak/11 budget, leak/10 cooldown")
	longer := *c
	longer.Limits.Per = 5 * time.Hour
	h.policy = New(&longer, Options{Enforce: true})
	for at := 4 * time.Minute; at < 5*time.Hour; at += 3 * time.Minute {
		d, s := h.policy.Decide(view(at, h.holders...), h.state)
		h.state = s
		for i := range d {
			if d[i].Acts() {
				t.Fatalf("after %s: %s, though limits were made stricter", at, describe(d))
			}
		}
	}
}

func TestWhatKILLDidNotEndIsNotTriedAgain(t *testing.T) {
	c := config(rule(func(r *rules.Rule) { r.Cooldown = time.Second }))
	c.Interval = 10 * time.Minute
	h := &simulation{t: t, policy: New(c, Options{Enforce: true}), holders: leaking(alice)}
	h.round(0, "leak/10 pending")
	d := h.round(time.Minute, "leak/10 act")
	h.state = h.state.Ended(RunResult{ID: d[0].ID(), Mode: rules.Enforce, At: epoch.Add(2 * time.Minute), Unkillable: true})
	for at := 10 * time.Minute; at < 24*time.Hour; at += 10 * time.Minute {
		h.round(at, "leak/10 in_progress")
	}
	h.holders = nil
	for at := 24 * time.Hour; at < 26*time.Hour; at += 10 * time.Minute {
		h.round(at, "")
	}
	if n := len(h.state.limiters[rules.Enforce].unkillable); n != 0 {
		t.Errorf("%d processes that ended long ago are remembered", n)
	}
}
