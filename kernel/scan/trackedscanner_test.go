package scan_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/scan"
)

// scannerKind is a scanner, with what it can know.
type scannerKind struct {
	name    string
	cookies bool // it knows cookies, and times from before its first scan
	walks   bool // it searches for holders in /proc/PID/fd, and for namespaces in /proc/PID/ns
}

var scannerKinds = []scannerKind{
	{name: scan.ScannerEBPF, cookies: true},
	{name: scan.ScannerNetlink, cookies: true, walks: true},
	{name: scan.ScannerProcFS, walks: true},
}

// withEachScanner runs a test once for each scanner.
func withEachScanner(t *testing.T, test func(t *testing.T, kind scannerKind)) {
	for _, kind := range scannerKinds {
		t.Run(kind.name, func(t *testing.T) { test(t, kind) })
	}
}

// trackedScanner is a Scanner with the Tracker that the exporter has.
type trackedScanner struct {
	*hostScanner
	t       testing.TB
	kind    scannerKind
	tracker *closewait.Tracker
}

// hostScanner is a Scanner with a Host of its own.
type hostScanner struct {
	scan.Scanner
	host       *host.Host
	visibility closewait.Visibility
}

func open(o scan.Options) (*hostScanner, error) {
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		return nil, err
	}
	s, v, err := scan.Open(h, o)
	if err != nil {
		h.Close()
		return nil, err
	}
	return &hostScanner{s, h, v}, nil
}

// Close closes the Scanner and the Host.
func (s *hostScanner) Close() {
	s.Scanner.Close()
	s.host.Close()
}

func openTracked(t testing.TB, kind scannerKind, o scan.Options) *trackedScanner {
	t.Helper()
	o.Scanner = kind.name
	s, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &trackedScanner{s, t, kind, closewait.NewTracker([]float64{1, 60, 3600})}
}

// view scans once. It checks that nothing is counted twice.
func (s *trackedScanner) view() view {
	s.t.Helper()
	snapshot, err := s.Scan(s.t.Context())
	if err != nil {
		s.t.Fatalf("scan: %v", err)
	}
	v := view{View: s.tracker.Update(snapshot), t: s.t, kind: s.kind}
	for _, s := range snapshot.Sockets {
		if s.State == closewait.Closed {
			v.closed = append(v.closed, s)
		}
	}
	if v.Uptime == 0 {
		s.t.Error("the View has no uptime")
	}
	v.countsOnce()
	return v
}

// await scans until the condition holds.
func (s *trackedScanner) await(condition func(view) (done bool, why string)) view {
	s.t.Helper()
	var v view
	leaktest.Eventually(s.t, timeout, func() (bool, string) {
		v = s.view()
		return condition(v)
	})
	return v
}

// netNSOf returns the network namespace in which a process lives.
func netNSOf(t testing.TB, pid int) closewait.NetNS {
	t.Helper()
	// Not the link of the process itself, which is gone when its leader has ended.
	links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil {
			ns, err := strconv.ParseUint(strings.Trim(target, "net:[]"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return closewait.NetNS(ns)
		}
	}
	t.Fatalf("process %d lives in no network namespace: %v", pid, links)
	return 0
}
