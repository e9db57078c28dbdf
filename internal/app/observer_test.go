package app

import (
	"context"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/history"
)

// TestEveryViewIsRemembered feeds the history by scrapes and by the reaper in turn.
func TestEveryViewIsRemembered(t *testing.T) {
	taken, sockets := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), 0
	id := closewait.ProcessID{PID: 7, Start: 1}
	scan := func(context.Context) (*closewait.Snapshot, error) {
		taken, sockets = taken.Add(5*time.Second), sockets+10
		s := &closewait.Snapshot{Taken: taken, Processes: []closewait.Process{{ID: id, FDsKnown: true, OpenFDs: uint64(sockets), MaxFDs: 1000}}, PIDs: []int{id.PID}}
		for cookie := range uint64(sockets) {
			facts := closewait.Facts{ID: closewait.CookieID(1, cookie+1), Inode: cookie + 1}
			s.Sockets = append(s.Sockets, closewait.SocketSample{Facts: facts, Holders: []closewait.ProcessID{id}})
		}
		return s, nil
	}
	o := &observer{closewait.NewObserver(t.Context(), scan, closewait.NewTracker(nil), func() time.Time { return taken }), history.New()}
	const rounds = 8
	for i := range rounds {
		observe := o.Observe
		if i%2 == 0 {
			observe = func(ctx context.Context) (*closewait.View, error) {
				if _, err := o.Recent(ctx, time.Hour); err != nil { // the last View again
					return nil, err
				}
				return o.Recent(ctx, -1)
			}
		}
		if _, err := observe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	trend := o.history.Process(id)
	if trend.Sockets.PerSecond < 1.99 || trend.Sockets.PerSecond > 2.01 || trend.Sockets.Over < 30*time.Second || !trend.RunsOut {
		t.Errorf("%+v, want a growth of 2 a second since the first View", trend)
	}
}
