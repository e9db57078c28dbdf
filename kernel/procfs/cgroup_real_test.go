package procfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMembershipOfARealProcess moves a process into real groups and reads it as the scanner does.
func TestMembershipOfARealProcess(t *testing.T) {
	root := cgroupRoot(t)
	for path, want := range map[string]membership{
		"system.slice/closewait-test.service":                                     {unit: "closewait-test.service"},
		"system.slice/_io.closewait-test.service":                                 {unit: "io.closewait-test.service"},
		"system.slice/closewait-test@1-10.0.0.1:22-203.0.113.9:5.service":         {unit: "closewait-test@.service"},
		"user.slice/user-64242.slice/user@64242.service/app.slice/sshd.service":   {nested: "user@64242.service/sshd.service"},
		"system.slice/closewait-test.service/sshd.service":                        {unit: "closewait-test.service"},
		"docker/" + idA + "/system.slice/sshd.service":                            {container: idA, nested: "container:26cfbe35e08b/sshd.service"},
		"machine.slice/machine-closewait.scope/payload/system.slice/sshd.service": {nested: "machine:closewait/sshd.service"},
		"lxc.payload.closewait/system.slice/sshd.service":                         {nested: "lxc:closewait/sshd.service"},
		"kubepods/burstable/pod" + podUUI + "/" + idB:                             {pod: podUUI, container: idB},
		"kubepods/burstable/pod" + podUUI + "/" + idB + "/system.slice/x.service": {pod: podUUI, container: idB, nested: "pod:" + podUUI + "/x.service"},
	} {
		t.Run(path, func(t *testing.T) {
			group := makeGroup(t, root, path)
			sleep := exec.Command("sleep", "600")
			if err := sleep.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { sleep.Process.Kill(); sleep.Wait() })
			if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(sleep.Process.Pid)), 0); err != nil {
				t.Skip(err)
			}
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", sleep.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			if got := parseCgroup(data); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// cgroupRoot returns a writable mount of the hierarchy that parseCgroup reads first. It skips the
// test unless this process is in the root group, below which the names are as on a host.
func cgroupRoot(t *testing.T) string {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(data)) {
		hierarchy, path := parseCgroupLine([]byte(strings.TrimSuffix(line, "\n")))
		root := map[int]string{systemdHierarchy: "/sys/fs/cgroup/systemd", unifiedHierarchy: "/sys/fs/cgroup"}[hierarchy]
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); root != "" && err == nil && string(path) == "/" {
			return root
		}
	}
	t.Skip("no control groups, or not in the root group")
	return ""
}

// makeGroup makes the groups of a path that are missing, and removes them when the test ends.
func makeGroup(t *testing.T, root, path string) string {
	group := root
	for name := range strings.SplitSeq(path, "/") {
		group = filepath.Join(group, name)
		made := group
		switch err := os.Mkdir(made, 0o755); {
		case err == nil:
			t.Cleanup(func() {
				if err := os.Remove(made); err != nil {
					t.Error(err)
				}
			})
		case !os.IsExist(err):
			t.Skip(err)
		}
	}
	return group
}
