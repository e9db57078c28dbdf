package e2e

import (
	"fmt"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestAStreamToAHalfClosedClientIsToldFromALeak: both are old sockets in CLOSE_WAIT, and data moves
// on one of them.
func TestAStreamToAHalfClosedClientIsToldFromALeak(t *testing.T) {
	leaktest.RequireRoot(t)
	if leaktest.TablesOnly() {
		t.Skip("the procfs scanner does not see that data moves")
	}
	t.Parallel()
	const leaked, streams, slow = 3, 2, 2
	l := leaktest.Start(t, fmt.Sprintf("--sockets=%d", leaked), fmt.Sprintf("--stream=%d", streams), fmt.Sprintf("--slow-readers=%d", slow))
	e := serve(t, "--collector.old-age=2s")
	e.await(func(m metrics) (bool, string) {
		old, active := m.sum("closewait_process_old_sockets", of(l.PID)...), m.sum("closewait_process_active_sockets", of(l.PID)...)
		return old == leaked+streams+slow && active == streams+slow,
			fmt.Sprintf("%v old sockets, %v of them active, want %d and %d", old, active, leaked+streams+slow, streams+slow)
	})
}
