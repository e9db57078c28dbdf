package e2e

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// nobody is a user without rights.
const nobody = 65534

// TestSaysWhatItCannotSee runs the exporter and list with less than all rights, beside a leak of root,
// one in another network namespace and one of its own user.
func TestSaysWhatItCannotSee(t *testing.T) {
	leaktest.RequireRoot(t)
	root := leaktest.Start(t, "--sockets=3")
	away := leaktest.Where{NetNS: true}.Start(t, "--sockets=2")
	own := leaktest.Where{UID: nobody}.Start(t, "--sockets=4")

	const holders, namespaces, ages = "holders of the sockets of other users", "network namespaces in which only other users", "ages from before the start"
	tests := []struct {
		name           string
		capabilities   []uintptr
		lost, kept     []string // what the log says it does not see, and what it does not say so of
		seesRoot, away bool
	}{
		{name: "as an unprivileged user", lost: []string{holders, namespaces, ages}},
		{name: "with the capabilities to look into processes", capabilities: []uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH},
			lost: []string{ages}, kept: []string{holders, namespaces}, seesRoot: true, away: true},
		{name: "with that to enter namespaces, too", capabilities: []uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_ADMIN},
			kept: []string{holders, namespaces, ages}, seesRoot: true, away: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			attr := func() *syscall.SysProcAttr {
				return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: tt.capabilities}
			}
			cmd := exec.Command(program, anyPort)
			cmd.SysProcAttr = attr()
			e := start(t, cmd)
			m := e.await(func(m metrics) (bool, string) { // what it has not seen before is listed after a second
				return m.sockets(own.PID) == 4 && (!tt.away || m.sockets(away.PID) == 2), "not listed"
			})
			l := listAs(t, attr())
			for said, by := range map[string]string{startLine(e): "the log", l.notes: "list"} {
				requireSaid(t, by, said, tt.lost, tt.kept)
			}
			if m.one("closewait_scan_success") != 1 {
				t.Error("the scan is said to have failed")
			}
			if got := m.sockets(root.PID) == 3; got != tt.seesRoot {
				t.Errorf("process %d of root has %d sockets; seen: %v, want %v", root.PID, m.sockets(root.PID), got, tt.seesRoot)
			}
			unresolved, coverage := m.sum("closewait_sockets", "owner", "unresolved"), m.one("closewait_owner_coverage_ratio")
			if tt.seesRoot {
				requireListed(t, l, root.PID, 3)
				return
			}
			if unresolved < 3 || coverage >= 1 {
				t.Errorf("%v sockets unresolved, coverage %v; want at least the 3 of process %d, and less than 1", unresolved, coverage, root.PID)
			}
			if m.faults("namespace", "denied") == 0 || m.faults("owners", "denied") == 0 {
				t.Error("that processes could not be looked into is not counted")
			}
			requireListed(t, l, root.PID, 0)
		})
	}
}

// requireListed checks how many sockets of a process list knows.
func requireListed(t *testing.T, l listing, pid, want int) {
	t.Helper()
	if n := len(l.socketsOf(pid)); n != want {
		t.Errorf("list shows %d sockets of process %d, want %d", n, pid, want)
	}
}

// startLine is the line of the log that tells what can be seen.
func startLine(e *exporter) string {
	for line := range strings.Lines(e.log.String()) {
		if strings.Contains(line, `msg="Scanning this host"`) {
			return line
		}
	}
	return ""
}

func requireSaid(t *testing.T, by, said string, wanted, unwanted []string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(said, want) {
			t.Errorf("%s does not say that it cannot see %s: %s", by, want, said)
		}
	}
	for _, no := range unwanted {
		if strings.Contains(said, no) {
			t.Errorf("%s says that it cannot see %s: %s", by, no, said)
		}
	}
}
