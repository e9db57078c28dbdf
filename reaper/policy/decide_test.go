package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

// observation is a round: a View, and the decisions that it must lead to.
type observation struct {
	view *closewait.View
	want string // decisions in their order: rule/pid label, or rule label
	why  string // part of the reason of the first
}

func describe(decisions []Decision) string {
	var text []string
	for _, d := range decisions {
		who := d.Rule.Name
		if d.Process != nil {
			who += fmt.Sprintf("/%d", d.Process.ID.PID)
		}
		who += " " + string(d.Label)
		for _, p := range d.With[:len(d.With)*acts(d)] {
			who += fmt.Sprintf(" with %d", p.ID.PID)
		}
		text = append(text, who)
	}
	return strings.Join(text, ", ")
}

// acts is 1 for a decision to act, else 0.
func acts(d Decision) int {
	if d.Acts() {
		return 1
	}
	return 0
}

func play(t *testing.T, p *Policy, observations []observation) State {
	t.Helper()
	var s State
	for i, g := range observations {
		var decisions []Decision
		decisions, s = p.Decide(g.view, s)
		if got := describe(decisions); got != g.want {
			t.Fatalf("round %d\n got %s\nwant %s", i+1, got, g.want)
		}
		if len(decisions) > 0 && !strings.Contains(decisions[0].Reason(), g.why) {
			t.Fatalf("round %d: the reason is %q, want %q in it", i+1, decisions[0].Reason(), g.why)
		}
	}
	return s
}

func TestWhatCountsAsEvidence(t *testing.T) {
	endsNothing := func(r *rules.Rule) { r.Steps = []step.Step{step.Destroy{}} }
	scenarios := map[string]struct {
		rule    rules.Rule
		sockets []*closewait.Socket
		want    string
		why     string
	}{
		"two old and quiet sockets are enough":    {rule(), sockets(2, 1, hour), "leak/10 act", "2 of 2 sockets are evidence, 2 required"},
		"one is not":                              {rule(), sockets(1, 1, hour), "leak/10 pending", "1 of 1 sockets are evidence"},
		"young sockets are not":                   {rule(), sockets(2, 1, 1*time.Second), "leak/10 pending", "2 not old enough"},
		"sockets that are exactly old enough are": {rule(), sockets(2, 1, 0), "leak/10 act", "each at least 1m0s old"},
		"a moving socket is not":                  {rule(), sockets(2, 1, hour, moving), "leak/10 pending", "2 not quiet"},
		"one that has just moved is not":          {rule(), sockets(2, 1, hour, quietSince(time.Second)), "leak/10 pending", "2 not quiet"},
		"a socket seen for the first time isn't":  {rule(), sockets(2, 1, hour, firstSeen(time.Minute)), "leak/10 pending", "2 not seen in two rounds"},
		"an unaccepted one is not":                {rule(), sockets(2, 1, hour, func(s *closewait.Socket) { s.Inode = 0 }), "leak/10 pending", "2 not accepted"},
		"one that a process of another group holds too is not": {
			rule(), sockets(2, 1, hour, sharedBy(alice, bob)), "leak/10 pending", "2 also held by another group",
		},
		"one that an unknown process holds too is not": {
			rule(), sockets(2, 1, hour, sharedBy(alice, dave)), "leak/10 pending", "2 also held by another group",
		},
		"an outbound one is not where inbound is asked for": {
			rule(func(r *rules.Rule) { r.When.Direction = condition.InboundOnly }), sockets(2, 1, hour), "leak/10 pending", "2 of another or unknown direction",
		},
		"one of unknown direction is not where inbound is asked for": {
			rule(func(r *rules.Rule) { r.When.Direction = condition.InboundOnly }), sockets(2, 1, hour, unknownDirection), "leak/10 pending", "2 of another or unknown direction",
		},
		"one of unknown direction is not where outbound is asked for": {
			rule(func(r *rules.Rule) { r.When.Direction = condition.OutboundOnly }), sockets(2, 1, hour, unknownDirection), "leak/10 pending", "2 of another or unknown direction",
		},
		"one of unknown direction is where none is asked for": {rule(), sockets(2, 1, hour, unknownDirection), "leak/10 act", "2 of 2 sockets are evidence"},
		"one that only the kernel says is old is not": {
			rule(func(r *rules.Rule) { r.When.Age = 2 * time.Minute }), sockets(2, 1, hour, firstSeen(0)), "leak/10 pending", "2 not old enough",
		},
		"one that only the kernel says is old is, where no process is ended": {
			rule(endsNothing), sockets(2, 1, hour, firstSeen(0)), "leak/10 act", "each at least 1h1m0s old",
		},
		"one that another user has opened is not": {rule(), sockets(2, 1, hour, openedByUser(1000)), "leak/10 pending", "2 opened by another user"},
		"an ignored remote end is not": {
			rule(func(r *rules.Rule) {
				r.Ignore.Remote = []rules.Endpoint{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}
			}),
			sockets(2, 1, hour), "leak/10 pending", "2 ignored",
		},
		"no evidence is never enough": {rule(func(r *rules.Rule) { r.When.Sockets = 0 }), nil, "leak/10 pending", "0 of 0 sockets are evidence, 1 required"},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			other := holder(bob, nil, exe("/opt/other"))
			play(t, policy(s.rule), []observation{
				{view(0, other), "", ""},
				{view(time.Minute, holder(alice, s.sockets), other), s.want, s.why},
			})
		})
	}
}

func TestChecks(t *testing.T) {
	with := func(change func(*rules.Rule)) *Policy { return policy(rule(change)) }
	old := func() []*closewait.Socket { return sockets(2, 1, hour) }
	spread := func(addresses ...string) (list []*closewait.Socket) {
		for i, a := range addresses {
			list = append(list, socket(uint64(i+1), hour, from(a)))
		}
		return list
	}
	quarter := func(r *rules.Rule) { r.When.PeerShare = 0.25 }
	behindOne := func(r *rules.Rule) { r.When.PeerShare = 0.25 }
	trusting := New(&rules.Config{
		Limits: rules.Limits{Actions: 3, Per: time.Hour}, Interval: time.Minute, Rules: []rules.Rule{rule(behindOne)}, TrustedPeers: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
	}, Options{Enforce: true})
	four := []string{"198.51.100.1:1", "203.0.113.1:1", "192.0.2.1:1", "[2001:db8::1]:1"}
	scenarios := map[string]struct {
		policy *Policy
		holder *closewait.Holder
		want   string
		why    string
	}{
		"a program that does not match gets no decision": {policy(rule()), holder(alice, old(), exe("/opt/other")), "", ""},
		"process 1 is protected":                         {policy(rule()), holder(closewait.ProcessID{PID: 1, Start: 1}, old()), "leak/1 protected", "process 1"},
		"this exporter is protected":                     {New(config(rule()), Options{Enforce: true, Own: []closewait.ProcessID{alice}}), holder(alice, old()), "leak/10 protected", "this exporter"},
		"sshd is protected by its program":               {policy(rule()), holder(alice, old(), exe("/usr/sbin/sshd")), "leak/10 protected", "/usr/sbin/sshd"},
		"a unit of systemd is protected":                 {policy(rule()), holder(alice, old(), unit("systemd-resolved.service")), "leak/10 protected", "systemd-resolved"},
		"a program that calls itself sshd isn't":         {policy(rule()), holder(alice, old(), func(p *closewait.Process) { p.Comm = "sshd" }), "leak/10 act", ""},
		"a program that cannot be read is protected": {
			with(func(r *rules.Rule) { r.Match = rules.Match{User: regexp.MustCompile("^www$")} }), holder(alice, old(), exe("")), "leak/10 protected", "could not be read",
		},
		"protect.exe protects": {
			protecting(rules.Protect{Exe: []*regexp.Regexp{regexp.MustCompile("^/usr/bin/server$")}}), holder(alice, old()), "leak/10 protected", "protect.exe",
		},
		"protect.unit protects": {
			protecting(rules.Protect{Unit: []*regexp.Regexp{regexp.MustCompile(`^db\.service$`)}}), holder(alice, old(), unit("db.service")), "leak/10 protected", "protect.unit",
		},
		"protect.user protects by name": {
			protecting(rules.Protect{User: []*regexp.Regexp{regexp.MustCompile("^www$")}}), holder(alice, old()), "leak/10 protected", "protect.user matches its user: www",
		},
		"protect.user protects by number": {
			protecting(rules.Protect{User: []*regexp.Regexp{regexp.MustCompile("^33$")}}), holder(alice, old(), user("www", 33)), "leak/10 protected", "protect.user",
		},
		"protect.user does not protect others": {
			protecting(rules.Protect{User: []*regexp.Regexp{regexp.MustCompile("^(postgres|70)$")}}), holder(alice, old()), "leak/10 act", "",
		},
		"protect.user protects a process whose user could not be read": {
			protecting(rules.Protect{User: []*regexp.Regexp{regexp.MustCompile("^postgres$")}}), holder(alice, old(), user("", 0)), "leak/10 protected", "its user could not be read",
		},
		"protect.group protects": {
			protecting(rules.Protect{Group: []*regexp.Regexp{regexp.MustCompile(`^db\.service$`)}}), holder(alice, old(), unit("db.service")), "leak/10 protected", "protect.group matches its group: db.service",
		},
		"a process whose unit could not be read is protected": {
			policy(rule()), holder(alice, old(), func(p *closewait.Process) { p.GroupUnknown = true }), "leak/10 protected", "control group",
		},
		"a stopped process is left alone": {policy(rule()), holder(alice, old(), state('T')), "leak/10 stopped", "state T"},
		"a traced one too":                {policy(rule()), holder(alice, old(), state('t')), "leak/10 stopped", "state t"},
		"few descriptors are enough":      {with(fds(0.8, 0)), holder(alice, old(), openFDs(799)), "leak/10 enough_fds", "799 of 1000 descriptors open, 80% required"},
		"many are not":                    {with(fds(0.8, 0)), holder(alice, old(), openFDs(800)), "leak/10 act", "800 of 1000"},
		"a number can be asked for":       {with(fds(0, 500)), holder(alice, old(), openFDs(499)), "leak/10 enough_fds", "500 required"},
		"what is not known is too few":    {with(fds(0.1, 0)), holder(alice, old(), fdsUnknown), "leak/10 enough_fds", "unknown number"},
		"a share of no limit is none":     {with(fds(0.1, 0)), holder(alice, old(), func(p *closewait.Process) { p.MaxFDs = closewait.UnlimitedFDs }), "leak/10 enough_fds", "no limit"},
		"one client gives too much": {
			with(quarter), holder(alice, spread("198.51.100.1:1", "198.51.100.2:1", "203.0.113.1:1", "192.0.2.1:1", "[2001:db8::1]:1")),
			"leak/10 peer_share", "198.51.100.0/24 has 2 of 5 inbound evidence sockets (40%), at most 25% allowed",
		},
		"one network of IPv6 gives too much": {
			with(quarter), holder(alice, spread("[2001:db8::1]:1", "[2001:db8::ffff]:1", "203.0.113.1:1")), "leak/10 peer_share", "2001:db8::/64 has 2 of 3",
		},
		"a v4-mapped client is one of IPv4": {with(quarter), holder(alice, spread("[::ffff:203.0.113.9]:1", "203.0.113.1:1")), "leak/10 peer_share", "203.0.113.0/24 has 2 of 2"},
		"four clients give a quarter each":  {with(quarter), holder(alice, spread(four...)), "leak/10 act", "(25%)"},
		"a trusted peer may give all":       {trusting, holder(alice, spread("10.9.0.1:1", "10.9.0.1:2", "10.9.0.1:3")), "leak/10 act", "0 of 3"},
		"sockets of unknown direction count as inbound": {
			with(quarter), holder(alice, sockets(2, 1, hour, unknownDirection)), "leak/10 peer_share", "192.0.2.0/24 has 2 of 2",
		},
		"outbound sockets are no one's share": {with(quarter), holder(alice, old()), "leak/10 act", "no inbound evidence"},
		"a client cannot hide an outbound leak": {
			with(quarter), holder(alice, append(old(), socket(9, hour, from("198.51.100.1:1")))), "leak/10 act", "2 of 3 sockets are evidence",
		},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			play(t, s.policy, []observation{{view(0), "", ""}, {view(time.Minute, s.holder), s.want, s.why}})
		})
	}
}

func fds(ratio float64, count uint64) func(*rules.Rule) {
	return func(r *rules.Rule) { r.When.FDs = condition.Threshold{Ratio: ratio, Count: count} }
}

func user(name string, uid uint32) func(*closewait.Process) {
	return func(p *closewait.Process) { p.User, p.UID = name, uid }
}

func protecting(p rules.Protect) *Policy {
	c := config(rule())
	c.Protect = p
	return New(c, Options{Enforce: true})
}
