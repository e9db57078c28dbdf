package deploy

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	service = "closewait_exporter.service"
	unit    = "systemd/" + service
	dropIn  = "systemd/reaper.conf"
	ebpf    = "systemd/ebpf.conf"

	sysusers = "systemd/sysusers.conf"
	polkit   = "systemd/polkit.rules"
)

// tree makes a root file system with the unit and drop-ins where systemd finds them.
func tree(t *testing.T, dropIns ...string) string {
	t.Helper()
	m := machine{t: t, root: t.TempDir()}
	m.copy(unit, "/usr/lib/systemd/system/"+service)
	for _, path := range dropIns {
		m.copy(path, "/etc/systemd/system/"+service+".d/"+filepath.Base(path))
	}
	m.copy("package/postinstall", "/usr/bin/closewait_exporter") // any program
	m.copy("package/postinstall", "/bin/kill")
	return m.root
}

func TestUnitsAreHardened(t *testing.T) {
	require(t, "systemd-analyze")
	overall := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)
	tests := map[string]struct {
		dropIns []string
		atMost  float64
	}{
		"the exporter alone":         {atMost: 2.5},
		"the exporter with BPF only": {dropIns: []string{ebpf}, atMost: 2.5},
		"the exporter with a reaper": {dropIns: []string{dropIn}, atMost: 3.0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			report := run(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "--root="+tree(t, test.dropIns...), service)
			found := overall.FindStringSubmatch(report)
			if found == nil {
				t.Fatalf("no level in\n%s", report)
			}
			if level, err := strconv.ParseFloat(found[1], 64); err != nil || level > test.atMost {
				t.Errorf("exposure level %s, want at most %v\n%s", found[1], test.atMost, report)
			}
		})
	}
}

func TestSystemdReportsNothing(t *testing.T) {
	require(t, "systemd-analyze")
	for name, dropIns := range map[string][]string{
		"of the exporter alone": nil, "of the exporter with BPF only": {ebpf}, "of the exporter with a reaper": {dropIn},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t, dropIns...)
			// verify needs the units that this unit is ordered after.
			for _, path := range []string{"/usr/lib/systemd/system", "/lib/systemd/system"} {
				if units, _ := filepath.Glob(path + "/*.target"); len(units) > 0 {
					for _, target := range units {
						(&machine{t: t, root: root}).copy(target, "/usr/lib/systemd/system/"+filepath.Base(target))
					}
					break
				}
			}
			output, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "--root="+root, service).CombinedOutput()
			if err != nil || strings.Contains(string(output), "closewait") {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

// TestTheReaperIsInDryRunAsDelivered: only the administrator can enable enforcement.
func TestTheReaperIsInDryRunAsDelivered(t *testing.T) {
	for line := range strings.Lines(read(t, dropIn) + read(t, "package/closewait_exporter.default")) {
		if !strings.HasPrefix(line, "#") && strings.Contains(line, "--reaper.enforce") {
			t.Errorf("enforced: %s", line)
		}
	}
}
