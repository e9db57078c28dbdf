package scan

import (
	"slices"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// TestSocketsThatTwoScansMissAreAskedFor simulates scans whose dumps have missed all sockets.
func TestSocketsThatTwoScansMissAreAskedFor(t *testing.T) {
	leaktest.RequireRoot(t)
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--unaccepted=2")
	s := openNetlinkHere(t, Options{})
	first, err := s.Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ns closewait.NetNS
	var accepted []closewait.Facts // the unaccepted ones are known to s
	for _, row := range first.Sockets {
		if ns = row.ID.NetNS; row.Accepted() {
			accepted = append(accepted, row.Facts)
		}
	}
	reached := slices.Clone(s.buffers.reached)
	for _, scan := range []struct {
		name            string
		left            []closewait.Facts
		in              []host.Namespace
		unread          []closewait.NetNS
		confirmed, kept int
	}{
		{"missed once: not asked for yet", accepted, reached, nil, 0, 5},
		{"missed twice, and still there", nil, reached, nil, 5, 5},
		{"the namespace cannot be read: they wait", nil, nil, []closewait.NetNS{ns}, 0, 5},
		{"the namespace can be read again", nil, reached, nil, 5, 5},
	} {
		confirmed := s.missed.confirm(&socketSet{reached: scan.in}, scan.left, isUnaccepted, scan.unread)
		if len(confirmed) != scan.confirmed || len(s.missed.absent) != scan.kept {
			t.Errorf("%s: %d confirmed and %d kept, want %d and %d", scan.name, len(confirmed), len(s.missed.absent), scan.confirmed, scan.kept)
		}
	}
	l.Do("close 3")
	if confirmed := s.missed.confirm(&socketSet{reached: reached}, nil, isUnaccepted, nil); len(confirmed) != 2 || len(s.missed.absent) != 2 {
		t.Errorf("%d confirmed and %d kept after 3 of 5 were closed, want 2 and 2", len(confirmed), len(s.missed.absent))
	}
	const listed, closed = 2, 3
	snapshot, err := s.Scan(t.Context())
	if err != nil || len(snapshot.Sockets) != listed || len(snapshot.Confirmed) != 0 || len(s.missed.absent) != closed {
		t.Errorf("the next scan lists %d sockets, confirms %d and waits for %d, want %d, 0 and the %d that it misses for the first time; %v",
			len(snapshot.Sockets), len(snapshot.Confirmed), len(s.missed.absent), listed, closed, err)
	}
	l.Stop()
}
