package policy

import (
	"time"

	"closewait_exporter/reaper/internal/fixture"
	"closewait_exporter/reaper/rules"
)

var (
	epoch                    = fixture.Epoch
	alice, bob, carol, dave  = fixture.Alice, fixture.Bob, fixture.Carol, fixture.Dave
	socket, sockets, holder  = fixture.Socket, fixture.Sockets, fixture.Holder
	view, rule, config       = fixture.View, fixture.Rule, fixture.Config
	from, quietSince, moving = fixture.From, fixture.QuietSince, fixture.Moving
	firstSeen, sharedBy      = fixture.FirstSeen, fixture.SharedBy
	withClosed               = fixture.WithClosed
	endedStates              = fixture.EndedStates
	unit, exe, state         = fixture.Unit, fixture.Exe, fixture.State
	openFDs, fdsUnknown      = fixture.OpenFDs, fixture.FDsUnknown
	unknownDirection         = fixture.UnknownDirection
	openedByUser, uid        = fixture.OpenedByUser, fixture.UID
)

const hour = -time.Hour

func policy(list ...rules.Rule) *Policy { return New(config(list...), Options{Enforce: true}) }
