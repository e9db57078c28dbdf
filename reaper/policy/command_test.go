package policy

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

func TestCommandLines(t *testing.T) {
	p := policy(rule(func(r *rules.Rule) { r.Match.Command = regexp.MustCompile("catalina") }))
	v := func(minutes time.Duration) *closewait.View {
		return view(minutes*time.Minute, holder(alice, sockets(2, 1, hour)), holder(bob, sockets(2, 7, hour), exe("/opt/other")))
	}
	_, s := p.Decide(v(0), State{})
	if got := p.UnreadCommands(v(1), s); len(got) != 1 || got[0].ID != alice {
		t.Fatalf("unknown: %v, want alice alone, as bob does not match anyway", got)
	}
	learn := func(minutes time.Duration, line string, err error) State {
		return s.Learn([]Command{{ID: alice, Exe: "/usr/bin/server", Line: line, Err: err, Read: epoch.Add(minutes * time.Minute)}})
	}
	scenarios := map[string]struct {
		state       State
		want, why   string
		askAgain    int
		askNextTime int
	}{
		"not read yet":      {s, "leak/10 incomplete_scan", "has not been read yet", 1, 1},
		"one that fits":     {learn(1, "java catalina start", nil), "leak/10 act", "", 0, 1},
		"one that does not": {learn(1, "java other", nil), "", "", 0, 1},
		"unreadable":        {learn(1, "", errors.New("it hangs")), "leak/10 incomplete_scan", "it hangs", 0, 1},
		"of an earlier program": {
			s.Learn([]Command{{ID: alice, Exe: "/bin/sh", Line: "catalina", Read: epoch}}), "leak/10 incomplete_scan", "has not been read yet", 1, 1,
		},
	}
	for name, c := range scenarios {
		t.Run(name, func(t *testing.T) {
			if got := len(p.UnreadCommands(v(1), c.state)); got != c.askAgain {
				t.Errorf("%d command lines are to be read, want %d", got, c.askAgain)
			}
			decisions, after := p.Decide(v(1), c.state)
			if got := describe(decisions); got != c.want || got != "" && !strings.Contains(decisions[0].Reason(), c.why) {
				t.Errorf("got %q, want %q because of %q", got, c.want, c.why)
			}
			if got := len(p.UnreadCommands(v(3), after)); got != c.askNextTime {
				t.Errorf("%d command lines are to be read two minutes later, want %d", got, c.askNextTime)
			}
		})
	}
}

// TestARuleIsMatchedAgainWhenTheCommandLineChanges has a process that executes its own program.
func TestARuleIsMatchedAgainWhenTheCommandLineChanges(t *testing.T) {
	p := policy(rule(func(r *rules.Rule) { r.Match.Command = regexp.MustCompile("^catalina$") }))
	var s State
	for i, c := range []struct{ line, want string }{
		{"catalina", "leak/10 pending"}, {"payments", ""}, {"payments", ""}, {"catalina", "leak/10 act"},
	} {
		at := time.Duration(i) * time.Minute
		v := view(at, holder(alice, sockets(2, 1, hour)))
		if unread := p.UnreadCommands(v, s); len(unread) != 1 {
			t.Errorf("round %d: %d command lines are to be read", i, len(unread))
		}
		s = s.Learn([]Command{{ID: alice, Exe: "/usr/bin/server", Line: c.line, Read: epoch.Add(at)}})
		var decisions []Decision
		decisions, s = p.Decide(v, s)
		if got := describe(decisions); got != c.want {
			t.Errorf("round %d: %q, want %q", i, got, c.want)
		}
	}
}
