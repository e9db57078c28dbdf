package reaper

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
)

func TestExplain(t *testing.T) {
	p := policy(rule(func(r *Rule) { r.When.For, r.When.FDs, r.When.PeerShare = time.Minute, Threshold{Ratio: 0.8}, 0.5 }))
	leak := func() *closewait.Holder { return holder(alice, sockets(3, 1, hour), openFDs(850)) }
	other := func() *closewait.Holder { return holder(bob, sockets(1, 11, hour), exe("/opt/other")) }
	scenarios := map[string]struct {
		views []*closewait.View // all but the last have been decided upon
		want  string
	}{
		"what would be done": {
			[]*closewait.View{view(0, leak()), view(time.Minute, leak()), view(2*time.Minute, leak(), other())},
			`process 10 ("alice", group "alice"), rule leak: act: 3 of 3 sockets are evidence, 2 are wanted, each at least 1h2m0s old and 1h2m0s quiet, 1m0s are wanted; enough evidence for 1m0s, 1m0s are wanted; 850 of 1000 descriptors are open, 80% are wanted; no evidence is inbound; no cooldown, 0 relapses; 3 actions are left
  yes match         all that is asked for fits
  yes not protected nothing protects it
  yes running       state S
  yes evidence      3 of 3 sockets are evidence, 2 are wanted, each at least 1h2m0s old and 1h2m0s quiet, 1m0s are wanted
  yes for           enough evidence for 1m0s, 1m0s are wanted
  yes fds           850 of 1000 descriptors are open, 80% are wanted
  yes peer_share    no evidence is inbound
  yes no ladder     nobody acts on the group
  yes no cooldown   no cooldown, 0 relapses
  step 1: signal TERM
  step 2: signal KILL
process 11 ("bob", group "bob"), rule leak: does not match
  no  match         exe "/opt/other" is not ^(?:/usr/.*)$
`,
		},
		"all conditions, also those after the first that does not hold": {
			[]*closewait.View{view(0), view(time.Minute, holder(alice, sockets(1, 1, hour), state('T'), openFDs(10)))},
			`process 10 ("alice", group "alice"), rule leak: stopped: it is stopped or traced (state T), so it cannot close anything
  yes match         all that is asked for fits
  yes not protected nothing protects it
  no  running       it is stopped or traced (state T), so it cannot close anything
  no  evidence      0 of 1 sockets are evidence, 2 are wanted, 1 not old enough
  no  for           enough evidence for 0s, 1m0s are wanted
  no  fds           10 of 1000 descriptors are open, 80% are wanted
  yes peer_share    no evidence is inbound
  yes no ladder     nobody acts on the group
  yes no cooldown   no cooldown, 0 relapses
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
			if err := WriteText(&text, p.Explain(s.views[last], state)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.want, text.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
