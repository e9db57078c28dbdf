package policy

import (
	"net/netip"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

func TestClosedSocketsAreEvidenceWhereTheRuleSaysSo(t *testing.T) {
	counting := rule(endedStates)
	with := func(change func(*rules.Rule)) rules.Rule { return rule(endedStates, change) }
	old := func(n int, change ...func(*closewait.Socket)) []*closewait.Socket {
		return sockets(n, 1, hour, change...)
	}
	waiting := func(n int) []*closewait.Socket { return sockets(n, 50, 2*hour) }
	scenarios := map[string]struct {
		rule         rules.Rule
		held, closed []*closewait.Socket
		want         string
		why          string
	}{
		"without the key they never count":        {rule(), nil, old(9), "leak/10 pending", "0 of 9 sockets are evidence, 2 required, 9 in a state that states does not list"},
		"nor do they make up for what is missing": {rule(), waiting(1), old(9), "leak/10 pending", "1 of 10 sockets are evidence"},
		"a process can have no others":            {counting, nil, old(2), "leak/10 act", "2 of 2 sockets are evidence (2 of them closed), 2 required"},
		"both kinds are counted together":         {counting, waiting(1), old(1), "leak/10 act", "2 of 2 sockets are evidence (1 of them closed), 2 required, each at least 1h1m0s old"},
		"sockets in CLOSE_WAIT count as ever":     {counting, waiting(2), nil, "leak/10 act", "2 of 2 sockets are evidence, 2 required"},
		"young ones are not":                      {counting, waiting(1), sockets(3, 1, time.Second), "leak/10 pending", "1 of 4 sockets are evidence, 2 required, each at least 2h1m0s old and 2h1m0s quiet, 1m0s required, 3 not old enough"},
		"young ones of the other kind are not":    {counting, sockets(3, 50, time.Second), old(1), "leak/10 pending", "1 of 4 sockets are evidence (1 of them closed), 2 required, each at least 1h1m0s old and 1h1m0s quiet, 1m0s required, 3 not old enough"},
		"one that has moved of late is not":       {counting, nil, old(2, quietSince(time.Second)), "leak/10 pending", "2 not quiet"},
		"a socket seen for the first time isn't": {
			counting, nil, old(2, firstSeen(time.Minute)), "leak/10 pending", "2 not seen in two rounds",
		},
		"one that another group holds too is not": {counting, nil, old(2, sharedBy(alice, bob)), "leak/10 pending", "2 also held by another group"},
		"an ignored remote end is not": {
			with(func(r *rules.Rule) {
				r.Ignore.Remote = []rules.Endpoint{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}
			}), nil, old(2), "leak/10 pending", "2 ignored",
		},
		"one of the other direction is not": {with(func(r *rules.Rule) { r.When.Direction = condition.InboundOnly }), nil, old(2), "leak/10 pending", "2 of another or unknown direction"},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			other := holder(bob, nil, exe("/opt/other"))
			play(t, policy(s.rule), []observation{
				{view(0, other), "", ""},
				{view(time.Minute, withClosed(holder(alice, s.held), s.closed), other), s.want, s.why},
			})
		})
	}
}

// TestAClientThatResetsIsNoBetterOffThanOneThatCloses: a RST needs no more than a FIN does.
func TestAClientThatResetsIsNoBetterOffThanOneThatCloses(t *testing.T) {
	fromOne := func() []*closewait.Socket { return sockets(8, 1, hour, from("198.51.100.1:1")) }
	scenarios := map[string]struct {
		rule   rules.Rule
		want   string
		change func(*closewait.Process)
	}{
		"a threshold of descriptors keeps a server that has some left": {rule(fds(0.8, 0)), "leak/10 enough_fds", openFDs(100)},
		"a share keeps one from speaking for all":                      {rule(func(r *rules.Rule) { r.When.PeerShare = 0.25 }), "leak/10 peer_share", openFDs(900)},
		"neither is asked for":                                         {rule(), "leak/10 act", openFDs(100)},
	}
	for name, l := range scenarios {
		l.rule.When.States = closewait.NewStateSet(closewait.EndedStates...)
		for kind, h := range map[string]func() *closewait.Holder{
			"closed": func() *closewait.Holder { return holder(alice, fromOne(), l.change) },
			"reset":  func() *closewait.Holder { return withClosed(holder(alice, nil, l.change), fromOne()) },
			"half of them reset": func() *closewait.Holder {
				return withClosed(holder(alice, fromOne()[:4], l.change), fromOne()[4:])
			},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				play(t, policy(l.rule), []observation{{view(0), "", ""}, {view(time.Minute, h()), l.want, ""}})
			})
		}
	}
}

func TestTheInboundEvidenceThatIsLeftOutTakesItsClosedSocketsWithIt(t *testing.T) {
	p := policy(rule(endedStates, func(r *rules.Rule) { r.When.PeerShare = 0.25 }))
	leak := withClosed(holder(alice, sockets(2, 1, hour)), sockets(5, 20, hour, from("198.51.100.1:1")))
	play(t, p, []observation{{view(0), "", ""}, {view(time.Minute, leak), "leak/10 act", "2 of 7 sockets are evidence, 2 required"}})
}

func TestALeakThatBecomesClosedGoesOn(t *testing.T) {
	p := policy(rule(endedStates, func(r *rules.Rule) { r.When.For = 2 * time.Minute }))
	play(t, p, []observation{
		{view(0), "", ""},
		{view(1*time.Minute, holder(alice, sockets(2, 1, hour))), "leak/10 pending", "for 0s"},
		{view(2*time.Minute, withClosed(holder(alice, sockets(1, 1, hour)), sockets(1, 2, hour))), "leak/10 pending", "for 1m0s"},
		{view(3*time.Minute, withClosed(holder(alice, nil), sockets(2, 1, hour))), "leak/10 act", "for 2m0s"},
	})
	s := play(t, policy(rule()), []observation{
		{view(0), "", ""},
		{view(time.Minute, withClosed(holder(alice, nil), sockets(2, 1, hour))), "leak/10 pending", ""},
	})
	if n := s.Matched()["leak"]; n != 0 {
		t.Errorf("%d processes matched, want none: the breaker must not count processes as healthy that cannot be targets", n)
	}
}

func TestProcessesThatShareClosedSocketsEndTogether(t *testing.T) {
	both := unit("web.service")
	shared := func() []*closewait.Socket { return sockets(2, 1, hour, sharedBy(alice, bob)) }
	play(t, policy(rule(endedStates)), []observation{
		{view(0), "", ""},
		{
			view(time.Minute, withClosed(holder(alice, nil, both), shared()), withClosed(holder(bob, nil, both), shared())),
			"leak/10 act with 11, leak/11 in_progress", "",
		},
	})
}
