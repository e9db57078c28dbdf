package scan

import (
	"slices"
	"strconv"
	"syscall"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// TestANamespaceOutlivesTheProcessThroughWhichItWasToBeReached lets that process end, or move,
// between the moments at which a scan finds the namespace and reads it.
func TestANamespaceOutlivesTheProcessThroughWhichItWasToBeReached(t *testing.T) {
	for _, scanner := range []string{ScannerEBPF, ScannerNetlink, ScannerProcFS} {
		t.Run(scanner, func(t *testing.T) {
			first := leaktest.Where{NetNS: true}.Start(t, "--sockets=1")
			second := leaktest.Where{NetNSOf: first.PID}.Start(t, "--sockets=2")
			h := openHost(t, host.DefaultPath)
			s, _, err := Open(h, Options{Scanner: scanner})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			reader := readerOf(s)
			found, err := reader.find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(found, func(ns host.Namespace) bool { return ns.Via == strconv.Itoa(first.PID) })
			if at < 0 {
				t.Fatalf("namespaces %+v: none through process %d", found, first.PID)
			}
			ns := found[at].ID
			check := func(when string, list []host.Namespace, want int) {
				set := new(buffers).socketSet()
				unread, err := reader.readAll(t.Context(), set, list)
				read := set.netNSIDs()
				if err != nil || len(unread) > 0 {
					t.Fatalf("%s: unread %v, %v", when, unread, err)
				}
				if n := count(set.sockets, ns); n != want || slices.Contains(read, ns) != (want > 0) {
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
			if scanErrors := h.Errors.Snapshot(); scanErrors[closewait.ScanError{Stage: host.StageSockets, Reason: host.ReasonOther}] != 0 {
				t.Errorf("scan errors %v", scanErrors)
			}
		})
	}
}

func readerOf(s Scanner) *namespaceReader {
	switch s := s.(type) {
	case *ebpfScanner:
		return s.reader
	case *netlinkScanner:
		return s.reader
	case *procfsScanner:
		return s.reader
	}
	return nil
}

func count(sockets []closewait.SocketSample, ns closewait.NetNS) (n int) {
	for _, s := range sockets {
		if s.ID.NetNS == ns {
			n++
		}
	}
	return n
}
