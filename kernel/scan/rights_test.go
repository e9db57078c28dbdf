package scan_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// with returns the attributes of a user that has some capabilities and no others.
func with(capabilities ...uintptr) *syscall.SysProcAttr {
	attr := unprivileged()
	attr.AmbientCaps = capabilities
	return attr
}

// TestWhatMayNotBeSeenIsCounted scans sockets of root, of the own user and in another network
// namespace.
func TestWhatMayNotBeSeenIsCounted(t *testing.T) {
	hosttest.Require(t)
	roots := leaktest.Start(t, "--sockets=3")
	own := leaktest.Where{UID: unprivilegedID}.Start(t, "--sockets=2")
	elsewhere := leaktest.Where{NetNS: true}.Start(t, "--sockets=4")
	const (
		read, ptrace, admin = unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE, unix.CAP_SYS_ADMIN
		holders             = "CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE"
		namespaces          = "CAP_SYS_PTRACE"
		ages                = "CAP_SYS_ADMIN"
	)
	for _, c := range []struct {
		name              string
		rights            *syscall.SysProcAttr
		roots, elsewhere  int // sockets seen as theirs
		total, unresolved int
		cookies           bool // of those elsewhere
		missing           []string
	}{
		{"no capability", with(), 0, 0, 5, 3, false, []string{holders, namespaces, ages}},
		{"descriptors listed and not read", with(read), 0, 0, 5, 3, false, []string{holders, namespaces, ages}},
		{"descriptors read and not listed", with(ptrace), 0, 0, 9, 7, false, []string{holders, ages}},
		{"namespaces that cannot be entered", with(read, ptrace), 3, 4, 9, 0, false, []string{ages}},
		{"all that is needed", with(read, ptrace, admin), 3, 4, 9, 0, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			service := startScanService(t, c.rights)
			got := service.ask(scanRequest{Open: &scan.Options{}, Scan: true})
			if got.Error != "" {
				t.Fatal(got.Error)
			}
			total := 0
			for _, n := range got.Owners {
				total += n
			}
			if total != c.total || got.Owners["unresolved"] != c.unresolved || got.Owners["kernel"] != 0 {
				t.Errorf("owners %v, want %d sockets and %d of them unresolved", got.Owners, c.total, c.unresolved)
			}
			for name, p := range map[string]struct{ pid, want int }{
				"of the same user": {own.PID, 2}, "of root": {roots.PID, c.roots}, "elsewhere": {elsewhere.PID, c.elsewhere},
			} {
				if n := got.Holders[p.pid].CloseWait; n != p.want {
					t.Errorf("the process %s holds %d, want %d", name, n, p.want)
				}
			}
			if partial := c.unresolved > 0; (got.Coverage < 1) != partial || (got.Denied > 0) != partial {
				t.Errorf("coverage %v and %d processes denied, with %d unresolved", got.Coverage, got.Denied, c.unresolved)
			}
			if missing := capabilitiesOf(got.Visibility); !slices.Equal(missing, c.missing) {
				t.Errorf("missing %q, want %q", missing, c.missing)
			}
			ns := netNSOf(t, elsewhere.PID)
			for _, s := range got.Sockets {
				if s.NetNS == ns && (s.Cookie != 0) != c.cookies {
					t.Errorf("cookie %d in another namespace", s.Cookie)
				}
			}
			if got.Unread != 0 {
				t.Errorf("%d namespaces could not be read", got.Unread)
			}
			before := got.Holders
			for _, leak := range []*leaktest.Leak{own, roots, elsewhere} {
				leak.Do("reset 2")
			}
			got = service.ask(scanRequest{Scan: true})
			for _, leak := range []*leaktest.Leak{own, roots, elsewhere} {
				if n, want := got.Holders[leak.PID].Closed, min(2, before[leak.PID].CloseWait); n != want {
					t.Errorf("%d sockets of process %d are seen to be closed, want %d", n, leak.PID, want)
				}
				leak.Do("discard 2")
				leak.Do("leak 2")
			}
		})
	}
}

// capabilitiesOf returns the missing capabilities. It leaves out the pid namespace, because these
// tests run in one.
func capabilitiesOf(v closewait.Visibility) []string {
	var missing []string
	for _, m := range v.Missing {
		if strings.HasPrefix(m.Capability, "CAP_") {
			missing = append(missing, m.Capability)
		}
	}
	return missing
}
