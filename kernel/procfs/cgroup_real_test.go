package procfs

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"closewait_exporter/internal/hosttest"
)

// TestMembershipOfARealProcess moves a process into real groups and reads it as the scanner does.
func TestMembershipOfARealProcess(t *testing.T) {
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
			join := hosttest.MakeCgroup(t, path)
			sleep := exec.Command("sleep", "600")
			if err := sleep.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { sleep.Process.Kill(); sleep.Wait() }()
			join(sleep.Process.Pid)
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
