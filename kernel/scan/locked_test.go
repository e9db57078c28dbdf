package scan_test

import (
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// TestAProcessThatHoldsTheLockOfASocketBlindsNoScan has sockets in an accept queue, for which the
// ebpf scanner makes dumps.
func TestAProcessThatHoldsTheLockOfASocketBlindsNoScan(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=3", "--unread=fin", "--unaccepted=2")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		before := map[closewait.SocketID]*closewait.Socket{}
		for _, s := range scanner.view().holder(l.PID).Ended.Sockets {
			before[s.ID] = s
		}
		locked, release := kerneltest.LockSocket(t)
		for range 2 {
			v := scanner.view()
			h := v.holder(l.PID)
			if h.Ended.Len() != 3 || h.Unaccepted.Len() != 2 {
				t.Errorf("%d sockets and %d unaccepted, want 3 and 2", h.Ended.Len(), h.Unaccepted.Len())
			}
			for _, s := range h.Ended.Sockets {
				if known := before[s.ID]; known == nil || s.Facts != known.Facts || !s.QuietSince.Equal(known.QuietSince) {
					t.Errorf("%+v, want it as before: %+v", s, known)
				}
			}
			found := 0
			for _, s := range v.all() {
				if s.Local == locked.Local() && s.Remote == locked.Remote() {
					found++
				}
			}
			if found != 1 {
				t.Errorf("the locked socket is listed %d times", found)
			}
		}
		if n := scanErrorsOf(scanner.host)["sockets/timeout"]; (n > 0) != kind.cookies {
			t.Errorf("%d scan errors", n)
		}
		release()
	})
}
