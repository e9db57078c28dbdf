package action

import (
	"testing"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
)

// BenchmarkOpenAndVerify measures the time between a decision and its first action, for a process
// with 1000 leaked sockets. It must stay below 100 ms.
func BenchmarkOpenAndVerify(b *testing.B) {
	e := newExecutor(b)
	l := leaktest.Start(b, "--sockets=1000")
	list := closeWaitSocketsOf(b, l.PID)
	id := kerneltest.IdentityOf(b, l.PID)
	for b.Loop() {
		h, err := e.Open(id)
		if err != nil {
			b.Fatal(err)
		}
		still, err := h.Verify(b.Context(), list)
		if err != nil || len(still) != 1000 {
			b.Fatalf("%d sockets, %v", len(still), err)
		}
		if _, err := e.Holders(b.Context(), list); err != nil {
			b.Fatal(err)
		}
		h.Close()
	}
}
