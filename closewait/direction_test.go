package closewait

import (
	"testing"
	"time"
)

func TestAKnownDirectionIsRemembered(t *testing.T) {
	for name, scans := range map[string][]struct{ shown, want Direction }{
		"an accepted connection whose listener has closed":     {{Inbound, Inbound}, {UnknownDirection, Inbound}},
		"an opened connection whose socket shows it no more":   {{Outbound, Outbound}, {UnknownDirection, Outbound}},
		"a client whose local port gets a listener":            {{Outbound, Outbound}, {Inbound, Outbound}},
		"a client that shows it after its port had a listener": {{Inbound, Inbound}, {Outbound, Outbound}, {Inbound, Outbound}},
		"unknown at first":                        {{UnknownDirection, UnknownDirection}, {Outbound, Outbound}},
		"unknown for as long as nothing shows it": {{UnknownDirection, UnknownDirection}, {UnknownDirection, UnknownDirection}},
	} {
		tracker := NewTracker(nil)
		for i, c := range scans {
			rows := []SocketSample{row(1, heldBy(alice), direction(c.shown))}
			v := tracker.Update(&Snapshot{Taken: epoch, Sockets: rows, Processes: []Process{process(alice)}, PIDs: []int{10}})
			port := map[Direction]uint16{Inbound: 8080, Outbound: 1}[c.want]
			if got := v.Holders[0].Ended.Services; len(got) != 1 || got[0] != (Service{c.want, port, 1}) {
				t.Errorf("%s, scan %d: services %v, want %v with port %d", name, i+1, got, c.want, port)
			}
			if rows[0].Direction != c.shown {
				t.Errorf("%s, scan %d: the Tracker has changed the Snapshot", name, i+1)
			}
		}
	}
}

func direction(d Direction) func(*SocketSample) { return func(s *SocketSample) { s.Direction = d } }

func TestCountersThatAScanCouldNotReadAreRemembered(t *testing.T) {
	tracker := NewTracker(nil)
	for i, shown := range []uint64{7, 0, 7, 8} {
		s := row(1, heldBy(alice))
		s.BytesReceived = shown
		at := epoch.Add(time.Duration(i) * time.Hour)
		v := tracker.Update(&Snapshot{Taken: at, Sockets: []SocketSample{s}, Processes: []Process{process(alice)}, PIDs: []int{10}})
		got := v.Holders[0].Ended.Sockets[0]
		if want := max(shown, 7); got.BytesReceived != want {
			t.Errorf("scan %d: %d bytes received, want %d", i+1, got.BytesReceived, want)
		}
		if moved := got.QuietSince.Equal(at); moved != (i == 0 || i == 3) {
			t.Errorf("scan %d: quiet since %v", i+1, got.QuietSince)
		}
	}
}
