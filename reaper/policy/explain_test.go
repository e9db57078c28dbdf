package policy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

func TestExplain(t *testing.T) {
	p := policy(rule(func(r *rules.Rule) {
		r.When.For, r.When.FDs, r.When.PeerShare = time.Minute, condition.Threshold{Ratio: 0.8}, 0.5
	}))
	leak := func() *closewait.Holder { return holder(alice, sockets(3, 1, hour), openFDs(850)) }
	other := func() *closewait.Holder { return holder(bob, sockets(1, 11, hour), exe("/opt/other")) }
	scenarios := map[string]struct {
		views []*closewait.View // all but the last have been decided upon
		want  string
	}{
		"what would be done": {
			[]*closewait.View{view(0, leak()), view(time.Minute, leak()), view(2*time.Minute, leak(), other())},
			`act: all conditions hold; the rule would run signal TERM, then signal KILL (rule leak, process 10 "alice")
  match: ok (every given expression matches)
  protected: ok (no protection applies)
  stopped: ok (state S)
  evidence: ok (3 of 3 sockets are evidence, 2 required, each at least 1h2m0s old and 1h2m0s quiet, 1m0s required)
  for: ok (enough evidence for 1m0s, 1m0s required)
  fds: ok (850 of 1000 descriptors open, 80% required)
  peer_share: ok (no inbound evidence)
  in_progress: ok (no remediation runs on the group)
  cooldown: ok (none active, 0 relapses)
no match: exe "/opt/other" does not match ^(?:/usr/.*)$ (rule leak, process 11 "bob")
`,
		},
		"all conditions, also those after the first that does not hold": {
			[]*closewait.View{view(0), view(time.Minute, holder(alice, sockets(1, 1, hour), state('T'), openFDs(10)))},
			`stopped: stopped or traced (state T), so it cannot close its sockets (rule leak, process 10 "alice")
  match: ok (every given expression matches)
  protected: ok (no protection applies)
  stopped: blocks (stopped or traced (state T), so it cannot close its sockets)
  evidence: blocks (0 of 1 sockets are evidence, 2 required, 1 not old enough, age 1m0s required)
  for: blocks (not enough evidence at present)
  fds: blocks (10 of 1000 descriptors open, 80% required)
  peer_share: ok (no inbound evidence)
  in_progress: ok (no remediation runs on the group)
  cooldown: ok (none active, 0 relapses)
`,
		},
		"a View that does not count": {
			[]*closewait.View{view(0, leak()), {Taken: epoch.Add(time.Minute), UnreadableNamespaces: 2}},
			"incomplete_scan: the sockets of 2 network namespaces could not be read (rule leak)\n",
		},
		"a View without sockets": {
			[]*closewait.View{view(0), view(time.Minute)},
			"No process holds ended connections, so there is nothing to decide.\n",
		},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			var state State
			last := len(s.views) - 1
			for _, v := range s.views[:last] {
				_, state = p.Decide(v, state)
			}
			var text strings.Builder
			if err := WriteText(&text, onlyKnownChecks(p.Explain(s.views[last], state)), strings.Clone); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.want, text.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestExplainEscapesWhatAProcessHasChosen(t *testing.T) {
	p := policy(rule())
	hostile := holder(alice, sockets(3, 1, hour), exe("/tmp/\x1b[31m\nprocess 1"))
	var text strings.Builder
	err := WriteText(&text, p.Explain(view(0, hostile), State{}), func(s string) string { return strings.NewReplacer("\x1b", "ESC", "\n", "NL").Replace(s) })
	if lines := strings.Split(text.String(), "\n"); err != nil || strings.Contains(text.String(), "\x1b") || slices.Contains(lines, "process 1") {
		t.Errorf("%v, %q", err, text.String())
	}
}

// onlyKnownChecks removes the checks that this test does not know, so that adding one does not
// break it.
func onlyKnownChecks(all []Explanation) []Explanation {
	known := []string{"match", "protected", "stopped", "evidence", "for", "fds", "peer_share", "in_progress", "cooldown"}
	for i := range all {
		all[i].Checks = slices.DeleteFunc(all[i].Checks, func(c CheckResult) bool { return !slices.Contains(known, c.Name) })
	}
	return all
}

// TestExplainBeginsWithTheDecision has processes that match below one that does not, a rule in dry
// run, a rule that may not act and another one that matches nothing besides.
func TestExplainBeginsWithTheDecision(t *testing.T) {
	called := func(name, program string) rules.Rule {
		return rule(func(r *rules.Rule) { r.Name, r.Match.Exe = name, regexp.MustCompile(program) })
	}
	dry := called("dry", "^/usr/.*$")
	dry.Mode = rules.DryRun
	p := New(config(called("refused", "^/usr/.*$"), dry, called("idle", "^/none$"), called("idle-refused", "^/none$")),
		Options{Enforce: true, Refused: map[string]string{"refused": "no rights", "idle-refused": "no guard"}})
	_, state := p.Decide(view(0), State{})
	leak := holder(bob, sockets(3, 11, hour), unit("web.service"))
	var text strings.Builder
	all := p.Explain(view(time.Minute, holder(alice, sockets(3, 1, hour), exe("/opt/other")), leak), state)
	if err := WriteText(&text, all, strings.Clone); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, " ") {
			lines = append(lines, line)
		}
	}
	want := []string{
		`suspended: no rights (rule refused, process 11 "bob" of "web.service")` + "\n",
		`dry_run: all conditions hold; with mode: enforce the rule would run signal TERM, then signal KILL (rule dry, process 11 "bob" of "web.service")` + "\n",
		"suspended: no guard (rule idle-refused)\n",
		`no match: exe "/opt/other" does not match ^/usr/.*$ (rule refused, process 10 "alice")` + "\n",
		`no match: exe "/opt/other" does not match ^/usr/.*$ (rule dry, process 10 "alice")` + "\n",
		`no match: exe "/opt/other" does not match ^/none$ (rule idle, process 10 "alice")` + "\n",
		`no match: exe "/opt/other" does not match ^/none$ (rule idle-refused, process 10 "alice")` + "\n",
		`no match: exe "/usr/bin/server" does not match ^/none$ (rule idle, process 11 "bob" of "web.service")` + "\n",
		`no match: exe "/usr/bin/server" does not match ^/none$ (rule idle-refused, process 11 "bob" of "web.service")` + "\n",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestExplainFollowsForFromTheAges: it scans twice, so that it could never see the time pass. The
// rule needs two sockets of an hour, and for at least 10 minutes.
func TestExplainFollowsForFromTheAges(t *testing.T) {
	slow := config(rule(func(r *rules.Rule) { r.When.Age, r.When.For = time.Hour, 10*time.Minute }))
	old := func(minutes ...time.Duration) []*closewait.Socket {
		var list []*closewait.Socket
		for i, m := range minutes {
			list = append(list, socket(uint64(i+1), -m*time.Minute, firstSeen(0)))
		}
		return list
	}
	for name, s := range map[string]struct {
		trust     bool
		held      []*closewait.Socket
		want, why string
	}{
		"the second reached its age long enough ago": {true, old(90, 69, 61), "leak/10 act", "enough evidence for 10m0s, 10m0s required"},
		"the second did not":                         {true, old(90, 68, 61), "leak/10 pending", "enough evidence for 9m0s, 10m0s required"},
		"the first scan does not show more":          {true, old(90), "leak/10 pending", "1 of 1 sockets are evidence, 2 required"},
		"it had traffic since":                       {true, append(old(90), socket(9, hour*2, firstSeen(0), quietSince(-68*time.Minute))), "leak/10 pending", "enough evidence for 9m0s"},
		"the reaper goes by what it has seen":        {false, old(90, 90), "leak/10 pending", "2 not old enough"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, New(slow, Options{Enforce: true, TrustKernelAges: s.trust}), []observation{{view(0), "", ""}, {view(time.Minute, holder(alice, s.held)), s.want, s.why}})
		})
	}
}

// TestExplainTrustsTheAgesThatTheKernelShows: it scans twice, so that it can observe no age.
func TestExplainTrustsTheAgesThatTheKernelShows(t *testing.T) {
	slow := config(rule(func(r *rules.Rule) { r.When.Age = 10 * time.Minute }))
	for trust, want := range map[bool]string{false: "leak/10 pending", true: "leak/10 act"} {
		play(t, New(slow, Options{Enforce: true, TrustKernelAges: trust}), []observation{
			{view(0), "", ""}, {view(time.Minute, holder(alice, sockets(2, 1, hour, firstSeen(0)))), want, ""},
		})
	}
}
