package reaper

import (
	"closewait_exporter/reaper/internal/fixture"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

var (
	epoch                   = fixture.Epoch
	alice, bob              = fixture.Alice, fixture.Bob
	socket, sockets, holder = fixture.Socket, fixture.Sockets, fixture.Holder
	view, rule, config      = fixture.View, fixture.Rule, fixture.Config
	sharedBy, unit          = fixture.SharedBy, fixture.Unit
	closed, withClosed      = fixture.Closed, fixture.WithClosed
)

func newPolicy(list ...rules.Rule) *policy.Policy {
	return policy.New(config(list...), policy.Options{Enforce: true})
}
