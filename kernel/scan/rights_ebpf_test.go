package scan_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// TestTwoCapabilitiesSufficeToSeeEverySocket scans as a user that has CAP_BPF and CAP_PERFMON and
// nothing else. There are sockets of root and of others, here and in another network namespace.
func TestTwoCapabilitiesSufficeToSeeEverySocket(t *testing.T) {
	hosttest.Require(t)
	what := []string{"--sockets=3", "--unaccepted=2", "--outbound=1", "--closed=2"}
	roots := leaktest.Start(t, append(what, "--children=1")...)
	others := leaktest.Where{UID: unprivilegedID - 1}.Start(t, append(what, "--private-fdtable")...)
	elsewhere := leaktest.Where{NetNS: true}.Start(t, what...)
	headless := leaktest.Where{NetNS: true}.Start(t, append(what, "--zombie-leader")...)
	service := startScanService(t, with(unix.CAP_BPF, unix.CAP_PERFMON))
	got := service.ask(scanRequest{Open: &scan.Options{Refresh: always}, Scan: true})
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	if got.Visibility.Scanner != scan.ScannerEBPF || got.Visibility.Fallback != "" {
		t.Fatalf("scanner %q because %q", got.Visibility.Scanner, got.Visibility.Fallback)
	}
	if missing, want := capabilitiesOf(got.Visibility), []string{"CAP_SYS_PTRACE", "CAP_SYS_ADMIN"}; !slices.Equal(missing, want) {
		t.Errorf("missing %q, want %q", missing, want)
	}
	for name, leak := range map[string]*leaktest.Leak{"of root": roots, "of another user": others, "elsewhere": elsewhere, "without a leader": headless} {
		if h, want := got.Holders[leak.PID], (reportedHolder{CloseWait: 4, Unaccepted: 2, Closed: 2, Entered: 6}); h != want {
			t.Errorf("the process %s: %+v, want %+v", name, h, want)
		}
		for _, pid := range leak.Children {
			if h := got.Holders[pid]; h.CloseWait != 4 || h.Unaccepted != 0 {
				t.Errorf("the child %s: %+v, want 4 held", name, h)
			}
		}
		for _, want := range leak.Sockets {
			if want.Cookie == 0 || want.Kind == "closed" {
				continue
			}
			if !slices.ContainsFunc(got.Sockets, func(s reportedSocket) bool {
				return s.Local == want.Local && s.Remote == want.Remote && s.Cookie == want.Cookie
			}) {
				t.Errorf("the process %s: %+v is not seen with its cookie", name, want)
			}
		}
	}
	if got.Namespaces != 3 || got.Unread != 0 || got.Denied != 0 {
		t.Errorf("%d namespaces, %d of them unread, %d processes denied, want 3, 0 and 0", got.Namespaces, got.Unread, got.Denied)
	}
	if got.Owners["process"] != 24 || got.Owners["unaccepted"] != 8 || got.Coverage != 1 {
		t.Errorf("owners %v, coverage %v, want 24 sockets of processes, 8 of them closed, 8 unaccepted, and 1", got.Owners, got.Coverage)
	}
}

// TestOneOfTheTwoCapabilitiesIsNotEnough expects the netlink scanner, and the reason.
func TestOneOfTheTwoCapabilitiesIsNotEnough(t *testing.T) {
	hosttest.Require(t)
	own := leaktest.Where{UID: unprivilegedID}.Start(t, "--sockets=2")
	for name, rights := range map[string]uintptr{"CAP_BPF alone": unix.CAP_BPF, "CAP_PERFMON alone": unix.CAP_PERFMON} {
		t.Run(name, func(t *testing.T) {
			service := startScanService(t, with(rights))
			got := service.ask(scanRequest{Open: &scan.Options{}, Scan: true})
			if got.Error != "" {
				t.Fatal(got.Error)
			}
			if got.Visibility.Scanner != scan.ScannerNetlink || got.Holders[own.PID].CloseWait != 2 {
				t.Errorf("scanner %q, %d sockets of our own user, want netlink and 2", got.Visibility.Scanner, got.Holders[own.PID].CloseWait)
			}
			if why := got.Visibility.Fallback; !strings.Contains(why, "CAP_BPF and CAP_PERFMON") || !strings.Contains(why, "not permitted") || strings.Contains(why, "MEMLOCK") {
				t.Errorf("it does not say what is missing: %q", why)
			}
			if got := service.ask(scanRequest{Open: &scan.Options{Scanner: scan.ScannerEBPF}}); !strings.Contains(got.Error, "CAP_PERFMON") {
				t.Errorf("when ebpf was asked for: %q", got.Error)
			}
		})
	}
}
