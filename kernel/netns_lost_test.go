package kernel

import (
	"slices"
	"strconv"
	"syscall"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// TestANamespaceOutlivesTheProcessThroughWhichItWasToBeReached lets that process end, or move, between
// the moments at which a scan finds the namespace and reads it.
func TestANamespaceOutlivesTheProcessThroughWhichItWasToBeReached(t *testing.T) {
	for _, engine := range []string{ScannerEBPF, ScannerNetlink, ScannerProcFS} {
		t.Run(engine, func(t *testing.T) {
			first := leaktest.Where{NetNS: true}.Start(t, "--sockets=1")
			second := leaktest.Where{NetNSOf: first.PID}.Start(t, "--sockets=2")
			s, err := NewScanner(Options{Scanner: engine})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			found, err := s.findNamespaces(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(found, func(ns host.Namespace) bool { return ns.Via == strconv.Itoa(first.PID) })
			if at < 0 {
				t.Fatalf("namespaces %+v: none through process %d", found, first.PID)
			}
			ns := found[at].ID
			check := func(when string, list []host.Namespace, want int) {
				read, unread, err := s.readSockets(t.Context(), list)
				if err != nil || len(unread) > 0 {
					t.Fatalf("%s: unread %v, %v", when, unread, err)
				}
				if n := count(s.sockets, ns); n != want || slices.Contains(read, ns) != (want > 0) {
					t.Errorf("%s: %d sockets of it read, want %d; namespaces read %v", when, n, want, read)
				}
			}
			check("nothing happens", found, 3)
			moved := slices.Clone(found)
			moved[at].Via = "self"
			check("the process has moved to ours", moved, 3)
			first.Signal(syscall.SIGKILL)
			first.Stop()
			check("the process has ended", found, 2)
			second.Stop()
			check("all its processes have ended", found, 0)
			if faults := s.ScanErrors(); faults[closewait.ScanError{Stage: host.StageSockets, Reason: host.ReasonOther}] != 0 {
				t.Errorf("faults %v", faults)
			}
		})
	}
}

func count(sockets []closewait.SocketSample, ns closewait.NetNS) (n int) {
	for _, s := range sockets {
		if s.ID.NetNS == ns {
			n++
		}
	}
	return n
}
