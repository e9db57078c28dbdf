package scan

import (
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// TestManyClosedSocketsAreCheap compares the cost of a scan that knows many closed sockets with
// the cost of a walk through as many descriptors.
func TestManyClosedSocketsAreCheap(t *testing.T) {
	leaktest.RequireRoot(t)
	const sockets = 10_000
	l := leaktest.Where{NetNS: true}.Start(t, "--nofile=20000", "--sockets=10000")
	s := openNetlinkHere(t, Options{Refresh: time.Hour})
	known := func() int { return len(s.closed.known) }
	scan := func() error {
		_, err := s.Scan(t.Context())
		return err
	}
	cold := measure(t, scan)
	l.Do("reset 10000")
	turn := measure(t, scan)
	if known() != sockets {
		t.Fatalf("%d are known to be closed, want %d", known(), sockets)
	}
	var ordinary cost
	for range 5 {
		ordinary = cheaper(ordinary, measure(t, scan))
	}
	t.Logf("first scan %v, that in which they become closed %v, those after it %v", cold.cpu, turn.cpu, ordinary.cpu)
	if turn.cpu > 3*cold.cpu {
		t.Errorf("they take %v to become closed, more than three times the first scan, %v", turn.cpu, cold.cpu)
	}
	if ordinary.cpu > cold.cpu/4 {
		t.Errorf("a scan that knows them takes %v, more than a quarter of the first, %v", ordinary.cpu, cold.cpu)
	}
	l.Do("discard 10000")
	for scans := 0; known() > 0; scans++ {
		if err := scan(); err != nil || scans > sockets/minChecked {
			t.Fatalf("after %d scans %d are left of those that were closed; %v", scans, known(), err)
		}
	}
	l.Stop()
}
