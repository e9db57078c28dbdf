package scan_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

func TestNearlyTwentyThousandSocketsInOneProcess(t *testing.T) {
	const sockets, kept = 19_000, 500
	hosttest.Require(t)
	l := leaktest.Start(t, "--nofile=20000", "--sockets=19000")
	leaktest.Eventually(t, timeout, func() (bool, string) { // dumps miss some while the other ends still change state
		n := countBySS(t)
		return n == sockets, fmt.Sprintf("ss sees %d sockets, not %d", n, sockets)
	})
	all := make([]*trackedScanner, len(scannerKinds))
	for i, kind := range scannerKinds {
		all[i] = openTracked(t, kind, scan.Options{})
		for range 2 {
			// A scan may miss some sockets while the other ends change state, which takes longer on a loaded
			// machine. What must never happen is that one of them counts as left, or as entered twice.
			h := all[i].await(func(v view) (bool, string) {
				return v.held(l.PID) == sockets, fmt.Sprintf("%s: %d held, want %d", kind.name, v.held(l.PID), sockets)
			}).holder(l.PID)
			if h.Ended.Len() != sockets || h.Entered != sockets || h.Left != 0 {
				t.Errorf("%s: %d held, %d entered, %d left, want %d, %[4]d and 0", kind.name, h.Ended.Len(), h.Entered, h.Left, sockets)
			}
			if h.OpenFDs < sockets || h.MaxFDs != 20_000 {
				t.Errorf("%s: %d of %d descriptors", kind.name, h.OpenFDs, h.MaxFDs)
			}
		}
	}
	l.Do("close 18500")
	for i, kind := range scannerKinds {
		h := all[i].await(func(v view) (bool, string) { // a socket has left when two scans have missed it
			left := uint64(sockets - v.held(l.PID))
			return v.held(l.PID) == kept && v.holder(l.PID).Left == left, fmt.Sprintf("%s: %d held, want %d", kind.name, v.held(l.PID), kept)
		}).holder(l.PID)
		if h.Ended.Len() != kept || h.Entered != sockets || h.Left != sockets-kept {
			t.Errorf("%s: %d held, %d entered, %d left, want %d, %d and %d", kind.name, h.Ended.Len(), h.Entered, h.Left, kept, sockets, sockets-kept)
		}
	}
}

// countBySS counts without asking for owners, which takes ss much longer.
func countBySS(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("ss", "-tnH", "state", "close-wait").Output()
	if err != nil {
		t.Skipf("needs ss: %v", err)
	}
	return bytes.Count(out, []byte{'\n'})
}
