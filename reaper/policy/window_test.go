package policy

import (
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

// window sets the window of a rule, in hours after noon, which is when the fixtures begin.
func window(from, to int) func(*rules.Rule) {
	const noon = 12
	hours := func(n int) time.Duration { return time.Duration((noon+n)%24) * time.Hour }
	return func(r *rules.Rule) {
		r.When.Window = condition.Window{From: hours(from), To: hours(to), Zone: time.UTC}
	}
}

func TestARuleEndsProcessesInItsWindowOnly(t *testing.T) {
	at := func(d time.Duration) *closewait.View { return view(d, holder(alice, sockets(2, 1, hour))) }
	onlyDestroy := func(r *rules.Rule) { r.Steps = []step.Step{step.Destroy{}} }
	play(t, policy(rule(window(1, 3))), []observation{
		{at(0), "leak/10 pending", ""},
		{at(time.Minute), "leak/10 window", "13:00 to 15:00 (UTC); it is 12:01 there"},
	})
	play(t, policy(rule(window(0, 1))), []observation{
		{at(0), "leak/10 pending", ""},
		{at(time.Minute), "leak/10 act", ""},
	})
	play(t, policy(rule(window(1, 3), onlyDestroy)), []observation{
		{at(0), "leak/10 pending", ""},
		{at(time.Minute), "leak/10 act", ""},
	})
}

// TestALeakWaitsForItsWindow lets rounds go on until the window opens, over a restart of the
// exporter, and then sets the clock.
func TestALeakWaitsForItsWindow(t *testing.T) {
	p := policy(rule(window(1, 2), func(r *rules.Rule) { r.Cooldown = time.Minute }))
	boot := closewait.Boot{ID: "one", Uptime: time.Hour}
	var s State
	acted := []time.Duration{}
	jump := time.Duration(0)
	for now := time.Duration(0); now < 150*time.Minute; now += time.Minute {
		switch now {
		case 30 * time.Minute: // a restart: what was observed is forgotten, the actions are not
			data, err := s.Encode(epoch.Add(now), boot)
			if err != nil {
				t.Fatal(err)
			}
			if s, err = (State{}).Decode(data, epoch.Add(now), boot); err != nil {
				t.Fatal(err)
			}
		case 90 * time.Minute: // the clock is set forward, to the end of the window
			jump = 30 * time.Minute
		}
		v := view(now+jump, holder(alice, sockets(2, 1, hour)))
		v.Uptime = time.Hour + now
		var decisions []Decision
		decisions, s = p.Decide(v, s)
		for i := range decisions {
			d := &decisions[i]
			if d.Acts() {
				acted = append(acted, now)
				s = s.Ended(RunResult{ID: d.ID(), Mode: rules.Enforce, At: v.Taken})
			}
		}
		if blocked := s.Blocked()["leak"][condition.LabelWindow]; now == 59*time.Minute && blocked != 28*time.Minute {
			t.Errorf("a leak has been blocked by the window for %s, want 28m since the restart", blocked)
		}
	}
	if len(acted) == 0 || acted[0] != time.Hour || acted[len(acted)-1] >= 90*time.Minute {
		t.Errorf("acted after %v, want from 1h on, and not after the clock was set", acted)
	}
}

func TestAStepAfterTheWindowIsNotRun(t *testing.T) {
	p := policy(rule(window(0, 1)))
	at := func(d time.Duration) *closewait.View { return view(d, holder(alice, sockets(2, 1, hour))) }
	_, s := p.Decide(at(57*time.Minute), State{})
	decisions, s := p.Decide(at(58*time.Minute), s)
	d := &decisions[0]
	if !d.Acts() {
		t.Fatal(describe(decisions))
	}
	for now, want := range map[time.Duration]Label{59 * time.Minute: unlabelled, 60 * time.Minute: condition.LabelWindow} {
		if got := p.Recheck(at(now), s, d, 1, factsOf(d)); got.Label != want {
			t.Errorf("after %s %q because of %q, want %q", now, got.Label, got.Why, want)
		}
	}
	if got := policy(rule(window(2, 3))).Recheck(at(59*time.Minute), s, d, 1, factsOf(d)); got.Label != condition.LabelWindow {
		t.Errorf("after a reload with another window %q, want %q", got.Label, condition.LabelWindow)
	}
}
