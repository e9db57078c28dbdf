package procfs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"closewait_exporter/closewait"
)

// FuzzParseCgroup checks that nothing is invented, and that what was found is found again where it
// stands alone.
func FuzzParseCgroup(f *testing.F) {
	for _, test := range cgroupLayouts {
		f.Add([]byte(test.file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := parseCgroup(data)
		checkMembership(t, data, m)
		if again := parseCgroup(fmt.Appendf(nil, "0::/kubepods/pod%s", m.pod)); again.pod != m.pod {
			t.Errorf("pod %q alone is %+v", m.pod, again)
		}
		place := "garden"
		if len(m.container) == 25 {
			place = "buildkit"
		}
		if again := parseCgroup(fmt.Appendf(nil, "0::/%s/%s", place, m.container)); again.container != m.container || again.unit != "" {
			t.Errorf("container %q alone is %+v", m.container, again)
		}
	})
}

// foreignGround are groups below which somebody else than the host makes groups, and the membership
// of a process that is directly in the group.
var foreignGround = map[string]membership{
	"user.slice/user-1000.slice/user@1000.service":           {unit: "user@1000.service"},
	"user.slice/user-1000.slice/user@1000.service/app.slice": {},
	"user.slice/user-1000.slice/session-3.scope":             {},
	"user/alice/0":                                     {},
	"system.slice/ci.service":                          {unit: "ci.service"},
	"system.slice/docker-" + idA + ".scope":            {container: idA},
	"docker/" + idA:                                    {container: idA},
	"machine.slice/libpod-" + idA + ".scope/container": {container: idA},
	"kubepods/burstable/pod" + podUUI + "/" + idA:      {container: idA, pod: podUUI},
	"kubepods.slice/kubepods-pod" + podSys + ".slice/cri-containerd-" + idA + ".scope": {container: idA, pod: podUUI},
	"machine.slice/machine-foo.scope/payload":                                          {nested: "machine:foo"},
	"machine.slice/systemd-nspawn@foo.service/payload":                                 {nested: "machine:foo"},
	"lxc.payload.101": {nested: "lxc:101"},
	"lxc/101":         {nested: "lxc:101"},
}

// FuzzOnlyTheHostNamesItsUnits checks that the name of a group that the host has not made becomes
// no unit, container or pod of the host, and no group outside the place where it was made.
func FuzzOnlyTheHostNamesItsUnits(f *testing.F) {
	for _, test := range cgroupLayouts {
		_, path := parseCgroupLine([]byte(test.file))
		f.Add(path)
	}
	f.Add([]byte("init.scope/sshd.service"))
	f.Add([]byte("sshd.service (deleted)"))
	f.Fuzz(func(t *testing.T, chosen []byte) {
		if bytes.ContainsRune(chosen, '\n') { // refused by the kernel (cgroup_mkdir)
			t.Skip()
		}
		for ground, of := range foreignGround {
			for _, hierarchy := range []string{"1:name=systemd:/", "0::/"} {
				file := fmt.Appendf(nil, "%s%s/%s\n4:memory:/%s\n", hierarchy, ground, chosen, chosen)
				got := parseCgroup(file)
				manager := of.unit == "user@1000.service" && got.unit == "" // below the manager, and not the manager itself
				if got.unit != of.unit && !manager || got.container != of.container || got.pod != of.pod {
					t.Errorf("%s: %+v", file, got)
				}
				process := closewait.Process{Unit: of.unit, Container: of.container, Pod: of.pod, Nested: of.nested}
				outer := process.Group()
				if strings.HasPrefix(ground, "user.slice/user-1000.slice/user@") {
					outer = "user@1000.service"
				}
				if got.nested != "" && got.nested != outer && (outer == "" || !strings.HasPrefix(got.nested, outer+"/")) {
					t.Errorf("%s: group %q is not within %q", file, got.nested, outer)
				}
			}
		}
	})
}

// checkMembership checks that a membership is made of names in the file.
func checkMembership(t *testing.T, data []byte, m membership) {
	t.Helper()
	file := string(data)
	stem, service := strings.CutSuffix(m.unit, ".service")
	if !strings.Contains(file, stem) || m.unit != "" && !service || strings.ContainsAny(m.unit, "/\n") {
		t.Errorf("unit %q", m.unit)
	}
	if !strings.Contains(file, m.container) || strings.ContainsAny(m.container, "/:.\n") {
		t.Errorf("container %q", m.container)
	}
	if !strings.Contains(strings.ReplaceAll(file, "_", "-"), m.pod) || m.pod != "" && len(m.pod) != 32 && len(m.pod) != 36 {
		t.Errorf("pod %q", m.pod)
	}
	if strings.Contains(m.nested, "\n") || m.nested != "" && m.unit != "" {
		t.Errorf("nested %q, unit %q", m.nested, m.unit)
	}
}
