package policy

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// TestRecheckMayBeCalledFromSeveralGoroutines: remediations call it while the reaper evaluates the
// next rounds. The race detector finds state that they share.
func TestRecheckMayBeCalledFromSeveralGoroutines(t *testing.T) {
	p := policy(rule(), rule(func(r *rules.Rule) { r.Name = "other" }))
	v := func(at time.Duration) *closewait.View {
		return view(at, holder(alice, sockets(2, 1, hour)), holder(bob, sockets(2, 11, hour)))
	}
	_, s := p.Decide(v(0), State{})
	decisions, s := p.Decide(v(time.Minute), s)
	var calls sync.WaitGroup
	for i := range decisions {
		d := &decisions[i]
		if !d.Acts() {
			continue
		}
		calls.Go(func() {
			for n := range 100 {
				now := v(time.Minute + time.Duration(n+1)*time.Second)
				if again := p.Recheck(now, s, d, d.Process); again.Label != unlabelled || len(again.Sockets) != 2 {
					t.Errorf("%s: %q because of %q, %d sockets", d.ID(), again.Label, again.Why, len(again.Sockets))
				}
			}
		})
	}
	next := s
	for n := range 100 {
		now := v(time.Minute + time.Duration(n+1)*time.Second)
		now.Holders = append(now.Holders, holder(carol, sockets(2, 21, hour), exe(fmt.Sprint("/usr/bin/program", n)))) // not in the cache yet
		p.UnreadCommands(now, next)
		_, next = p.Decide(now, next)
	}
	calls.Wait()
}
