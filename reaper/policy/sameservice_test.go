package policy

import (
	"regexp"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
	"closewait_exporter/reaper/step"
)

func nested(group string) func(*closewait.Process) {
	return func(p *closewait.Process) { p.Nested = group }
}

// TestALeakThatChildrenOfAnotherNameHold: a service without a unit has no group but the comms of
// its processes, so its match says which processes belong together.
func TestALeakThatChildrenOfAnotherNameHold(t *testing.T) {
	shared := func(change ...func(*closewait.Process)) []*closewait.Holder {
		both := sockets(2, 1, hour, sharedBy(alice, bob))
		return []*closewait.Holder{holder(alice, both), holder(bob, both, change...)}
	}
	destroyOnly := rule(func(r *rules.Rule) { r.Steps = []step.Step{step.Destroy{}} })
	anyProgram := rule(func(r *rules.Rule) { r.Match = rules.Match{User: regexp.MustCompile(`^www$`)} })
	scenarios := map[string]struct {
		rule    rules.Rule
		holders []*closewait.Holder
		want    string
		why     string
	}{
		"another comm":                     {rule(), shared(), "leak/10 act with 11, leak/11 in_progress", ""},
		"another program too":              {anyProgram, shared(exe("/opt/worker")), "leak/10 act with 11, leak/11 in_progress", ""},
		"a step that ends no process":      {destroyOnly, shared(), "leak/10 act, leak/11 in_progress", ""},
		"not where match covers only one":  {rule(), shared(exe("/opt/worker")), "leak/10 pending", `2 also held by another group (pid 11, "bob" of the same user: they count if match also covers it)`},
		"not where another user has them":  {rule(), shared(uid(1000)), "leak/10 pending, leak/11 pending", `(pid 11 of "bob": they never count)`},
		"not where one is of a unit":       {rule(), shared(unit("web.service")), "leak/10 pending, leak/11 pending", `(pid 11 of "web.service": they never count)`},
		"not where one is in a container":  {rule(), shared(nested("lxc:101")), "leak/10 pending, leak/11 pending", `(pid 11 of "lxc:101": they never count)`},
		"not where one is protected":       {anyProgram, shared(exe("/usr/sbin/sshd")), "leak/10 pending, leak/11 protected", ""},
		"not where one is not known to be": {rule(), shared()[:1], "leak/10 pending", "(pid 11, about which nothing is known)"},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			play(t, policy(s.rule), []observation{{view(0), "", ""}, {view(time.Minute, s.holders...), s.want, s.why}})
		})
	}
}

// TestNoProcessOfAServiceEvadesItsCooldown: after an action on two processes of different names,
// the one that was not decided about has the cooldown too.
func TestNoProcessOfAServiceEvadesItsCooldown(t *testing.T) {
	service := func(main, worker closewait.ProcessID, mains int) []*closewait.Holder {
		both := sockets(2, uint64(100*main.PID), hour, sharedBy(main, worker))
		own := sockets(mains, uint64(100*main.PID+50), hour, sharedBy(main))
		named := func(comm string) func(*closewait.Process) { return func(p *closewait.Process) { p.Comm = comm } }
		return []*closewait.Holder{
			holder(main, append(own, both...), named("main")),
			holder(worker, append(sockets(3-mains, uint64(100*worker.PID+70), hour, sharedBy(worker)), both...), named("worker")),
		}
	}
	p := policy(rule())
	_, s := p.Decide(view(0), State{})
	decisions, s := p.Decide(view(time.Minute, service(alice, bob, 3)...), s)
	if got, want := describe(decisions), "leak/10 act with 11, leak/11 in_progress"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	s = s.Ended(RunResult{ID: decisions[0].ID(), Mode: rules.Enforce, At: epoch.Add(2 * time.Minute)})
	decisions, _ = p.Decide(view(4*time.Minute, service(carol, dave, 0)...), s)
	if got, want := describe(decisions), "leak/12 cooldown, leak/13 cooldown"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestProtectionGoesByTheHostsUnits(t *testing.T) {
	old := func() []*closewait.Socket { return sockets(2, 1, hour) }
	database := protecting(rules.Protect{Unit: []*regexp.Regexp{regexp.MustCompile(`^db\.service$`)}})
	whole := protecting(rules.Protect{Unit: []*regexp.Regexp{regexp.MustCompile(`^user@\d+\.service/db\.service$`)}})
	group := func(e string) *Policy {
		return protecting(rules.Protect{Group: []*regexp.Regexp{regexp.MustCompile(e)}})
	}
	inContainer := func(p *closewait.Process) {
		p.Container, p.Nested = "0123456789abcdef", "container:0123456789ab/db.service"
	}
	scenarios := map[string]struct {
		policy *Policy
		holder *closewait.Holder
		want   string
	}{
		"a user's unit called like one of the host is not on the never-list": {policy(rule()), holder(alice, old(), nested("user@1000.service/sshd.service")), "leak/10 act"},
		"nor one in a container":                 {policy(rule()), holder(alice, old(), nested("lxc:101/systemd-resolved.service")), "leak/10 act"},
		"nor does protect.unit protect it":       {database, holder(alice, old(), nested("user@1000.service/db.service")), "leak/10 act"},
		"but by its whole group it does":         {whole, holder(alice, old(), nested("user@1000.service/db.service")), "leak/10 protected"},
		"a comm that is called so is nothing":    {database, holder(alice, old(), func(p *closewait.Process) { p.Comm = "db.service" }), "leak/10 act"},
		"nor is it a group":                      {group(`^(server|db)(\.service)?$`), holder(alice, old(), func(p *closewait.Process) { p.Comm = "db.service" }), "leak/10 act"},
		"nor is a user's unit, without a slash":  {group(`^.*db\.service$`), holder(alice, old(), nested("user@1000.service/db.service")), "leak/10 act"},
		"but by its whole name it is":            {group(`^user@\d+\.service/.*$`), holder(alice, old(), nested("user@1000.service/db.service")), "leak/10 protected"},
		"a container is, with all inside":        {group(`^container:0123456789ab$`), holder(alice, old(), inContainer), "leak/10 protected"},
		"a pod is":                               {group(`^pod:6ad2a9f1$`), holder(alice, old(), func(p *closewait.Process) { p.Pod, p.Container = "6ad2a9f1", "0123456789abcdef" }), "leak/10 protected"},
		"a connection to sshd is on it, as ever": {policy(rule()), holder(alice, old(), unit("ssh@.service")), "leak/10 protected"},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			play(t, s.policy, []observation{{view(0), "", ""}, {view(time.Minute, s.holder), s.want, ""}})
		})
	}
}

// TestACooldownIsForThePodAndNotForTheContainer: the kubelet gives a container another id at each
// restart.
func TestACooldownIsForThePodAndNotForTheContainer(t *testing.T) {
	inPod := func(container string) func(*closewait.Process) {
		return func(p *closewait.Process) { p.Pod, p.Container = "9508fe66-7675-4003-b7c9-d83e9f8f85e5", container }
	}
	p := policy(rule())
	_, s := p.Decide(view(0), State{})
	decisions, s := p.Decide(view(time.Minute, holder(alice, sockets(2, 1, hour), inPod("aaaaaaaaaaaaaaaa"))), s)
	if got, want := describe(decisions), "leak/10 act"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	s = s.Ended(RunResult{ID: decisions[0].ID(), Mode: rules.Enforce, At: epoch.Add(2 * time.Minute)})
	decisions, _ = p.Decide(view(4*time.Minute, holder(bob, sockets(2, 11, hour), inPod("bbbbbbbbbbbbbbbb"))), s)
	if got, want := describe(decisions), "leak/11 cooldown"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
