package kernel

import (
	"testing"

	"closewait_exporter/internal/leaktest"
)

// BenchmarkGrabAndVerify is what lies between a decision and its first deed, for a process with 1000
// leaked sockets. The contract gives it 100 ms.
func BenchmarkGrabAndVerify(b *testing.B) {
	h := newHands(b)
	l := leaktest.Start(b, "--sockets=1000")
	list := socketsOf(b, l.PID)
	id := idOf(b, l.PID)
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
