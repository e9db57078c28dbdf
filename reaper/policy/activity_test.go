package policy

import (
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// TestTimeInWhichAProcessCouldNotRunDoesNotCount has a round each 30 seconds, a rule of one minute,
// and a process with sockets that enter CLOSE_WAIT in the first round.
func TestTimeInWhichAProcessCouldNotRunDoesNotCount(t *testing.T) {
	activities := map[byte]closewait.Activity{
		'f': {Halted: "frozen by its cgroup"},
		'z': {Cgroup: "/a", Frozen: time.Second}, // it was frozen for a second at some time
		'm': {Cgroup: "/b", Frozen: time.Hour},   // it moved to another cgroup
		's': {Cgroup: "/a"},
		'd': {Cgroup: "/a", Waiting: true},
	}
	for name, c := range map[string]struct{ rounds, want string }{
		"it waits for events":              {"sssss", "p p a"},
		"nothing is known of it":           {"....", "p p a"},
		"it works":                         {"rrrr", "p p a"},
		"it is often seen in D, and works": {"DDDD", "p p a"},
		"it stays in D":                    {"sDddd", "p p s s s"},
		"it never runs":                    {"dddddd", "p s s s s s"},
		"it is in D, and then works":       {"dddrrrrr", "p s s p p a"},
		"it is in D every third round":     {"rrdrrdrrdrr", "p p s p a"},
		"frozen":                           {"ffffssss", "s s s s p p a"},
		"frozen once":                      {"sfssss", "p s p p a"},
		"frozen between two rounds":        {"szzzz", "p p p a"},
		"another cgroup":                   {"smmmm", "p p a"},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(rule())
			var s State
			got, ran := "", time.Duration(0)
			for i, kind := range []byte(c.rounds) {
				a := activities[kind]
				if kind == 'r' || kind == 'D' {
					ran++
					a = closewait.Activity{Cgroup: "/a", Waiting: kind == 'D'}
				}
				a.Ran = ran
				if kind != '.' {
					s = s.LearnActivities(map[closewait.ProcessID]closewait.Activity{alice: a})
				}
				var decisions []Decision
				decisions, s = p.Decide(view(time.Duration(i)*30*time.Second, holder(alice, sockets(2, 1, 0))), s)
				if got += " " + string(decisions[0].Label)[:1]; decisions[0].Acts() {
					break
				}
			}
			if got[1:] != c.want {
				t.Errorf("%q, want %q", got[1:], c.want)
			}
		})
	}
}

func TestForDoesNotGoOnWhileAProcessIsStuck(t *testing.T) {
	p := policy(rule(func(r *rules.Rule) { r.When.Age, r.When.For = time.Second, 90*time.Second }))
	var s State
	for i, c := range []struct {
		ran  time.Duration
		want string
	}{{1, "leak/10 pending"}, {2, "leak/10 pending"}, {3, "leak/10 pending"}, {3, "leak/10 stopped"}, {4, "leak/10 pending"}, {5, "leak/10 pending"}, {6, "leak/10 act"}} {
		var decisions []Decision
		s = s.LearnActivities(map[closewait.ProcessID]closewait.Activity{alice: {Waiting: true, Ran: c.ran}})
		decisions, s = p.Decide(view(time.Duration(i)*30*time.Second, holder(alice, sockets(2, 1, hour))), s)
		if got := describe(decisions); got != c.want {
			t.Errorf("round %d: %s (%s), want %s", i, got, decisions[0].Reason(), c.want)
		}
	}
}

func TestAHostThatSleptIsAGap(t *testing.T) {
	at := func(d, slept time.Duration) *closewait.View {
		v := view(d, holder(alice, sockets(2, 1, hour)))
		v.Uptime = time.Hour + d + slept
		return v
	}
	play(t, policy(rule()), []observation{
		{at(0, 0), "leak/10 pending", ""},
		{at(time.Minute, time.Hour), "leak gap", "the host slept for 1h0m0s, at most 3m0s"},
		{at(90*time.Second, time.Hour), "leak/10 pending", "2 not old enough"},
		{at(2*time.Minute, time.Hour+time.Second), "leak/10 act", "1m0s old"}, // a short sleep is no gap
	})
}

func TestPausesAreBounded(t *testing.T) {
	var p processState
	at := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	for n := 0; n < 1000; n += 10 {
		p.pauses = withPause(p.pauses, pause{at(n), at(n + 1)})
		p.pauses = withPause(p.pauses, pause{at(n + 1), at(n + 2)}) // one with the last
	}
	if len(p.pauses) != maxPauses {
		t.Errorf("%d pauses are kept", len(p.pauses))
	}
	if got := p.ran(at(900), at(1000)); got != 80*time.Second {
		t.Errorf("it ran for %s of 100s, want 80s", got)
	}
	if got := p.ranFor(80*time.Second, at(1000)); !got.Equal(at(902)) {
		t.Errorf("it ran for 80s since %s before", at(1000).Sub(got))
	}
	if got := p.ran(at(0), at(1000)); got > 800*time.Second {
		t.Errorf("it ran for %s of 1000s: forgotten pauses count as time", got)
	}
}
