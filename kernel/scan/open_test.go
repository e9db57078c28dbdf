package scan_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

func TestUnusableOptionsAreErrorsThatSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		options scan.Options
		want    []string
	}{
		"a scanner that does not exist": {scan.Options{Scanner: "lsof"}, []string{`"lsof"`, "netlink", "procfs"}},
		"a scope that does not exist":   {scan.Options{Namespaces: "some"}, []string{`"some"`, "all", "own"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := open(c.options)
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

func TestTheBestScannerThatWorksIsUsedAndSaysWhyNoBetterOne(t *testing.T) {
	l := leaktest.Start(t, "--sockets=3", "--unaccepted=2")
	for _, c := range []struct {
		name    string
		forbid  scanRequest
		scanner string
		reasons []string // why not a better one
	}{
		{"all work", scanRequest{}, scan.ScannerEBPF, nil},
		{"netlink alone is forbidden", scanRequest{NoNetlink: true}, scan.ScannerEBPF, nil},
		{"BPF is forbidden", scanRequest{NoBPF: true}, scan.ScannerNetlink, []string{"ebpf", "operation not permitted", "CAP_BPF"}},
		{"both are", scanRequest{NoBPF: true, NoNetlink: true}, scan.ScannerProcFS,
			[]string{"ebpf", "CAP_BPF", "netlink", "address family not supported"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			service := startScanService(t, nil)
			c.forbid.Open, c.forbid.Scan = &scan.Options{}, true
			got := service.ask(c.forbid)
			if got.Error != "" {
				t.Fatal(got.Error)
			}
			if got.Visibility.Scanner != c.scanner || (got.Visibility.Fallback != "") != (len(c.reasons) > 0) {
				t.Errorf("scanner %q because %q", got.Visibility.Scanner, got.Visibility.Fallback)
			}
			for _, reason := range c.reasons {
				if !strings.Contains(got.Visibility.Fallback, reason) {
					t.Errorf("%q does not say %q", got.Visibility.Fallback, reason)
				}
			}
			if h := got.Holders[l.PID]; h.CloseWait != 3 || h.Unaccepted != 2 {
				t.Errorf("%d sockets and %d unaccepted, want 3 and 2", h.CloseWait, h.Unaccepted)
			}
			for scanner, forbidden := range map[string]bool{scan.ScannerEBPF: c.forbid.NoBPF, scan.ScannerNetlink: c.forbid.NoNetlink} {
				got = service.ask(scanRequest{Open: &scan.Options{Scanner: scanner}})
				if refused := strings.Contains(got.Error, scanner) && strings.Contains(got.Error, "--collector.scanner=auto"); refused != forbidden {
					t.Errorf("error %q when %s was asked for", got.Error, scanner)
				}
			}
		})
	}
}

func TestNetlinkThatStopsWorkingIsAnError(t *testing.T) {
	leaktest.Start(t, "--sockets=3")
	service := startScanService(t, nil)
	got := service.ask(scanRequest{Open: &scan.Options{Scanner: scan.ScannerNetlink}, Scan: true})
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	got = service.ask(scanRequest{NoNetlink: true, Scan: true})
	if !strings.Contains(got.Error, "read sockets") || len(got.Holders) != 0 || got.ScanErrors["sockets/other"] == 0 {
		t.Errorf("error %q, holders %v, scan errors %v", got.Error, got.Holders, got.ScanErrors)
	}
}

func TestAScanThatIsCancelledIsNoScanError(t *testing.T) {
	hosttest.Require(t)
	c := connect(t, listen(t, "127.0.0.1:0"))
	c.CloseClient()
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if snapshot, err := scanner.Scan(ctx); !errors.Is(err, context.Canceled) || snapshot != nil {
			t.Errorf("snapshot %v, error %v", snapshot, err)
		}
		if scanErrors := scanErrorsOf(scanner.host); len(scanErrors) != 0 {
			t.Errorf("scan errors %v", scanErrors)
		}
		if v := scanner.view(); v.held(os.Getpid()) != 1 {
			t.Errorf("after that: %v", v)
		}
	})
}

func TestTheVisibilitySaysWhatIsInUse(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		s := openTracked(t, kind, scan.Options{Namespaces: scan.OwnNamespace}).visibility
		if s.Scanner != kind.name || s.Namespaces != scan.OwnNamespace || s.Fallback != "" {
			t.Errorf("visibility %+v", s)
		}
	})
	s, err := open(scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.visibility.Scanner != scan.ScannerEBPF || s.visibility.Namespaces != scan.AllNamespaces {
		t.Errorf("by default %+v", s.visibility)
	}
}
