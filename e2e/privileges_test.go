package e2e

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// nobody is a user without privileges.
const nobody = 65534

// TestSaysWhatItCannotSee runs the exporter and list with fewer privileges, beside a leak of root,
// a leak in another network namespace and a leak of its own user.
func TestSaysWhatItCannotSee(t *testing.T) {
	leaktest.RequireRoot(t)
	root := leaktest.Start(t, "--sockets=3")
	away := leaktest.Where{NetNS: true}.Start(t, "--sockets=2")
	own := leaktest.Where{UID: nobody}.Start(t, "--sockets=4")

	const holders, namespaces, ages = "holders of the sockets of other users", "network namespaces in which only other users", "ages from before the start"
	tests := []struct {
		name           string
		capabilities   []uintptr
		lost, kept     []string // what the log reports as invisible, and what it must not report
		seesRoot, away bool
	}{
		{name: "as an unprivileged user", lost: []string{holders, namespaces, ages}},
		{name: "with the capabilities to read other processes", capabilities: []uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH},
			lost: []string{ages}, kept: []string{holders, namespaces}, seesRoot: true, away: true},
		{name: "with the capability to enter namespaces as well", capabilities: []uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_ADMIN},
			kept: []string{holders, namespaces, ages}, seesRoot: true, away: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			attr := func() *syscall.SysProcAttr {
				return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: tt.capabilities}
			}
			cmd := exec.Command(program(t), anyPort)
			cmd.SysProcAttr = attr()
			e := start(t, cmd)
			m := e.await(func(m metrics) (bool, string) { // new sockets are listed after a second
				return m.sockets(own.PID) == 4 && (!tt.away || m.sockets(away.PID) == 2), "not listed"
			})
			l := listAs(t, attr())
			for text, source := range map[string]string{startLine(e): "the log", l.stderr: "list"} {
				requireMentioned(t, source, text, tt.lost, tt.kept)
			}
			if m.one("closewait_scan_success") != 1 {
				t.Error("the scan is reported as failed")
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
				t.Error("processes that could not be read are not counted")
			}
			requireListed(t, l, root.PID, 0)
		})
	}
}

// requireListed checks the number of sockets that list shows of a process.
func requireListed(t *testing.T, l listing, pid, want int) {
	t.Helper()
	if n := len(l.socketsOf(pid)); n != want {
		t.Errorf("list shows %d sockets of process %d, want %d", n, pid, want)
	}
}

// startLine returns the line of the log that reports what is visible.
func startLine(e *exporter) string {
	for line := range strings.Lines(e.log.String()) {
		if strings.Contains(line, `msg="Scanning this host"`) {
			return line
		}
	}
	return ""
}

func requireMentioned(t *testing.T, source, text string, wanted, unwanted []string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not report that it cannot see %s: %s", source, want, text)
		}
	}
	for _, no := range unwanted {
		if strings.Contains(text, no) {
			t.Errorf("%s reports that it cannot see %s: %s", source, no, text)
		}
	}
}
