package scan_test

import (
	"os"
	"path/filepath"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/scan"
)

// TestScannersWorkInAProcThatShowsProcessesOnly has a /proc as a systemd unit with ProcSubset=pid
// has it.
func TestScannersWorkInAProcThatShowsProcessesOnly(t *testing.T) {
	leaktest.RequireRoot(t)
	subset := kerneltest.MountProc(t, "subset=pid")
	if _, err := os.Stat(filepath.Join(subset, "stat")); err == nil {
		t.Skip("this kernel does not know subset=pid (Linux 5.8)")
	}
	l := leaktest.Start(t, "--sockets=3", "--unaccepted=2")
	other := leaktest.Where{NetNS: true}.Start(t, "--sockets=1")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		h, err := host.Open(subset)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		s, visibility, err := scan.Open(h, scan.Options{Scanner: kind.name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		tracked := &trackedScanner{&hostScanner{s, h, visibility}, t, kind, closewait.NewTracker(nil)}
		v := tracked.view()
		v.agrees(l)
		if n := v.held(other.PID); n != 1 {
			t.Errorf("%d sockets held in another network namespace, want 1", n)
		}
		for kind, n := range h.Errors.Snapshot() {
			if n > 0 {
				t.Errorf("%d scan errors %+v", n, kind)
			}
		}
	})
}
