package policy_test

import (
	"fmt"
	"net/netip"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

// A process holds a socket that its peer closed an hour ago. Evidence must be seen in two rounds.
func ExamplePolicy_Decide() {
	config, err := rules.Parse("rules.yml", []byte(`
interval: 1m
rules:
  - name: web-leak
    match: {exe: /usr/bin/web}
    when: {sockets: 1, age: 10m}
    steps: [destroy: {}]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	id := closewait.ProcessID{PID: 4711, Start: 1000}
	leaked := &closewait.Socket{
		Facts: closewait.Facts{
			ID: closewait.CookieID(4026531840, 1), Inode: 99,
			Local: netip.MustParseAddrPort("10.0.0.1:8080"), Remote: netip.MustParseAddrPort("192.0.2.1:40000"),
		},
		Holders: []closewait.ProcessID{id}, FirstSeen: now, Since: now.Add(-time.Hour), QuietSince: now.Add(-time.Hour),
	}
	web := &closewait.Holder{
		Process: closewait.Process{ID: id, Comm: "web", Exe: "/usr/bin/web", State: 'S'},
		Ended:   closewait.NewHolding([]*closewait.Socket{leaked}),
	}

	p := policy.New(config, policy.Options{})
	var state policy.State
	for round := range 2 {
		view := &closewait.View{Taken: now.Add(time.Duration(round) * time.Minute), Holders: []*closewait.Holder{web}}
		var decisions []policy.Decision
		decisions, state = p.Decide(view, state)
		for i := range decisions {
			d := &decisions[i]
			fmt.Printf("%s, process %d: %s\n", d.Rule.Name, d.Process.ID.PID, d.Label)
		}
	}
	// Output:
	// web-leak, process 4711: pending
	// web-leak, process 4711: dry_run
}
