package policy

import (
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
			`process 10 ("alice", group "alice"), rule leak: act: evidence: 3 of 3 sockets are evidence, 2 required, each at least 1h2m0s old and 1h2m0s quiet, 1m0s required; for: enough evidence for 1m0s, 1m0s required; fds: 850 of 1000 descriptors open, 80% required; peer_share: no inbound evidence; cooldown: none active, 0 relapses; actions left: 3
  match: ok (every given expression matches)
  protected: ok (no protection applies)
  stopped: ok (state S)
  evidence: ok (3 of 3 sockets are evidence, 2 required, each at least 1h2m0s old and 1h2m0s quiet, 1m0s required)
  for: ok (enough evidence for 1m0s, 1m0s required)
  fds: ok (850 of 1000 descriptors open, 80% required)
  peer_share: ok (no inbound evidence)
  in_progress: ok (no remediation runs on the group)
  cooldown: ok (none active, 0 relapses)
  step 1: signal TERM
  step 2: signal KILL
process 11 ("bob", group "bob"), rule leak: does not match
  match: blocks (exe "/opt/other" does not match ^(?:/usr/.*)$)
`,
		},
		"all conditions, also those after the first that does not hold": {
			[]*closewait.View{view(0), view(time.Minute, holder(alice, sockets(1, 1, hour), state('T'), openFDs(10)))},
			`process 10 ("alice", group "alice"), rule leak: stopped: stopped or traced (state T), so it cannot close its sockets
  match: ok (every given expression matches)
  protected: ok (no protection applies)
  stopped: blocks (stopped or traced (state T), so it cannot close its sockets)
  evidence: blocks (0 of 1 sockets are evidence, 2 required, 1 not old enough)
  for: blocks (enough evidence for 0s, 1m0s required)
  fds: blocks (10 of 1000 descriptors open, 80% required)
  peer_share: ok (no inbound evidence)
  in_progress: ok (no remediation runs on the group)
  cooldown: ok (none active, 0 relapses)
`,
		},
		"a View that does not count": {
			[]*closewait.View{view(0, leak()), {Taken: epoch.Add(time.Minute), UnreadableNamespaces: 2}},
			"rule leak: incomplete_scan: the sockets of 2 network namespaces could not be read\n",
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

// TestExplainTrustsTheAgesThatTheKernelShows: it scans twice, so that it can observe no age.
func TestExplainTrustsTheAgesThatTheKernelShows(t *testing.T) {
	slow := config(rule(func(r *rules.Rule) { r.When.Age = 10 * time.Minute }))
	for trust, want := range map[bool]string{false: "leak/10 pending", true: "leak/10 act"} {
		play(t, New(slow, Options{Enforce: true, TrustKernelAges: trust}), []observation{
			{view(0), "", ""}, {view(time.Minute, holder(alice, sockets(2, 1, hour, firstSeen(0)))), want, ""},
		})
	}
}
