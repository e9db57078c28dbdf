package scan_test

import (
	"os"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// TestAgesSurviveChurnInASmallHashTable scans repeatedly while dumps miss and repeat sockets,
// because thousands of connections per second come and go in 16 buckets.
func TestAgesSurviveChurnInASmallHashTable(t *testing.T) {
	hosttest.Require(t)
	const sockets = 300
	useHashTable(t, "16")
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=300", "--listen=127.0.0.1:0", "--listen=[::1]:0")
	leaktest.Where{NetNSOf: l.PID}.Start(t, "--churn=10000")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{Refresh: always})
		since := map[closewait.SocketID]time.Time{}
		scans, incomplete, first := 0, 0, time.Now()
		for deadline := first.Add(3 * time.Second); time.Now().Before(deadline); scans++ {
			h := scanner.view().holder(l.PID)
			if h.Ended.Len() > sockets {
				t.Fatalf("%d sockets held, of %d", h.Ended.Len(), sockets)
			}
			if h.Ended.Len() < sockets {
				incomplete++
			}
			if !kind.cookies {
				continue // it cannot ask for single sockets: what it misses two times in a row has left
			}
			if h.Entered > sockets || h.Left > 0 {
				t.Fatalf("after %d scans %d entered and %d left, want at most %d and 0", scans, h.Entered, h.Left, sockets)
			}
			for _, s := range h.Ended.Sockets {
				if before, known := since[s.ID]; known && !s.Since.Equal(before) {
					t.Fatalf("age of %v counts from %v, before from %v", s.Remote, s.Since, before)
				}
				since[s.ID] = s.Since
			}
		}
		t.Logf("%d scans, of which %d missed some socket", scans, incomplete)
		if kind.cookies && len(since) != sockets {
			t.Errorf("%d sockets seen in all, want %d", len(since), sockets)
		}
	})
}

// useHashTable sets the number of buckets for connections in new network namespaces.
func useHashTable(t *testing.T, buckets string) {
	t.Helper()
	const setting = "/proc/sys/net/ipv4/tcp_child_ehash_entries"
	before, err := os.ReadFile(setting)
	if err != nil {
		t.Skipf("needs Linux 6.1: %v", err)
	}
	if err := os.WriteFile(setting, []byte(buckets), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(setting, before, 0); err != nil {
			t.Error(err)
		}
	})
}
