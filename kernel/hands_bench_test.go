package kernel

import (
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

// BenchmarkGrabAndVerify is what lies between a decision and its first deed, for a process with 1000
// leaked sockets. The contract gives it 100 ms.
func BenchmarkGrabAndVerify(b *testing.B) {
	leaktest.RequireRoot(b)
	s, err := NewScanner(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	h, err := NewHands(s)
	if err != nil {
		b.Fatal(err)
	}
	l := leaktest.Start(b, "--sockets=1000")
	snapshot, err := s.Scan(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var id closewait.ProcessID
	var list []*closewait.Socket
	for i := range snapshot.Sockets {
		row := &snapshot.Sockets[i]
		if len(row.Holders) == 1 && row.Holders[0].PID == l.PID {
			id = row.Holders[0]
			list = append(list, &closewait.Socket{Facts: row.Facts})
		}
	}
	for b.Loop() {
		g, err := h.Grab(id)
		if err != nil {
			b.Fatal(err)
		}
		still, err := g.Verify(b.Context(), list)
		if err != nil || len(still) != 1000 {
			b.Fatalf("%d sockets, %v", len(still), err)
		}
		if _, err := h.Holders(b.Context(), list); err != nil {
			b.Fatal(err)
		}
		g.Close()
	}
}
