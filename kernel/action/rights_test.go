package action

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestRightsSayWhichCapabilityEachActionNeeds(t *testing.T) {
	const root, nobody = 0, 65534
	e := newExecutor(t)
	for _, c := range []struct {
		name    string
		uid     uint32
		without []uint
		lost    []string
	}{
		{"with all capabilities everything is permitted", nobody, nil, nil},
		{"no signals to others", nobody, []uint{unix.CAP_KILL}, []string{"Signal", "ThreadDump"}},
		{"signals to the same user", root, []uint{unix.CAP_KILL}, nil},
		{"no limits of others", nobody, []uint{unix.CAP_SYS_RESOURCE}, []string{"RaiseNoFile"}},
		{"limits of the same user", root, []uint{unix.CAP_SYS_RESOURCE}, nil},
		{"no SOCK_DESTROY", root, []uint{unix.CAP_NET_ADMIN}, []string{"Destroy"}},
		{"no other namespaces", root, []uint{unix.CAP_SYS_ADMIN}, []string{"Destroy"}},
		{"no descriptors, even of root", root, []uint{unix.CAP_SYS_PTRACE}, []string{"Destroy", "Shutdown", "ThreadDump", "Holders"}},
		{"no directories of others", nobody, []uint{unix.CAP_DAC_READ_SEARCH}, []string{"Destroy", "Shutdown", "Holders"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.host.Capabilities = ^uint64(0)
			for _, capability := range c.without {
				e.host.Capabilities &^= 1 << capability
			}
			if lost := missingRights(t, e.Rights(c.uid), c.without); !slices.Equal(lost, c.lost) {
				t.Errorf("lost %v, want %v", lost, c.lost)
			}
		})
	}
}

// missingRights returns the names of the actions that are not possible. Each error must name the
// missing capability.
func missingRights(t *testing.T, r Rights, without []uint) (lost []string) {
	for _, right := range []struct {
		name string
		err  error
	}{
		{"Signal", r.Signal}, {"RaiseNoFile", r.RaiseNoFile}, {"Destroy", r.Destroy},
		{"Shutdown", r.Shutdown}, {"ThreadDump", r.ThreadDump}, {"Holders", r.Holders},
	} {
		if right.err == nil {
			continue
		}
		lost = append(lost, right.name)
		if without == nil || !contains(right.err, capabilityNames[without[0]]) {
			t.Errorf("%s: %v", right.name, right.err)
		}
	}
	return lost
}

func TestCheckingRightsDestroysNothing(t *testing.T) {
	e := newExecutor(t)
	p := newTarget(t, places[0])
	if err := e.checkDestroy(); err != nil {
		t.Error(err)
	}
	requireUntouched(t, p.peer)
}

// TestPidsOfAnotherNamespaceAreRefused has a /proc of the namespace above or of an unrelated one.
func TestPidsOfAnotherNamespaceAreRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		ours  bool
		nspid string
		want  bool
	}{
		{"own /proc", true, "NSpid:\t7\n", true},
		{"/proc of the namespace above, where the pid happens to be the same", true, "NSpid:\t7\t7\n", false},
		{"/proc of the namespace above", false, "NSpid:\t700\t7\n", false},
		{"/proc of an unrelated namespace, which this process is not in", false, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(dir+"/self", 0o755); err != nil {
				t.Fatal(err)
			}
			if c.nspid != "" {
				if err := os.WriteFile(dir+"/self/status", []byte("Name:\tx\n"+c.nspid), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			proc, err := host.OpenDirectory(unix.AT_FDCWD, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer proc.Close()
			h := &host.Host{Path: dir, Proc: proc, PIDsAreOurs: c.ours}
			if err := checkPIDs(h); (err == nil) != c.want {
				t.Error(err)
			}
		})
	}
}
