package action

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// TestAFrozenProcessIsHalted freezes a real process by each kind of cgroup that is mounted here.
func TestAFrozenProcessIsHalted(t *testing.T) {
	e := newExecutor(t)
	if len(e.freezers) == 0 {
		t.Skip("no cgroup hierarchy with a freezer is mounted")
	}
	for _, f := range e.freezers {
		name, switches, on, off := "version 1", "freezer.state", "FROZEN", "THAWED"
		if f.Version2 {
			name, switches, on, off = "version 2", "cgroup.freeze", "1", "0"
		}
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(f.Mount, "closewait-test-"+itoa(os.Getpid()))
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Skipf("cannot make a cgroup: %v", err)
			}
			t.Cleanup(func() {
				leaktest.Eventually(t, soon, func() (bool, string) {
					err := os.Remove(dir)
					return err == nil, "the cgroup is not empty"
				})
			})
			cmd := startSleep(t) // ends before the cgroup is removed
			group := filepath.Join(dir, "inner")
			if err := os.Mkdir(group, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				writeFile(t, filepath.Join(dir, switches), off)
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				leaktest.Eventually(t, soon, func() (bool, string) {
					err := os.Remove(group)
					return err == nil, "the inner cgroup is not empty"
				})
			})
			writeFile(t, filepath.Join(group, "cgroup.procs"), itoa(cmd.Process.Pid))
			h := openHandle(t, e, cmd.Process.Pid)
			for _, frozen := range []bool{false, true, false} {
				value := map[bool]string{true: on, false: off}[frozen]
				writeFile(t, filepath.Join(dir, switches), value) // the group above: groups below it follow
				leaktest.Eventually(t, soon, func() (bool, string) {
					s, err := h.State()
					return err == nil && s.Frozen == frozen && s.Halted() == frozen, value + " has no effect"
				})
			}
		})
	}
}

// TestAFrozenProcessIsHaltedWhereItsCgroupCannotBeSeen has files as a container reads them about a
// process of its host.
func TestAFrozenProcessIsHaltedWhereItsCgroupCannotBeSeen(t *testing.T) {
	for _, c := range []struct {
		name, cgroup, wchan string
		want                bool
	}{
		{"frozen", "0::/../other\n", "get_signal", true},
		{"frozen, another compiler", "0::/../other\n", "do_freezer_trap", true},
		{"runs", "0::/../other\n", "0", false},
		{"sleeps", "0::/../other\n", "hrtimer_nanosleep", false},
		{"in another hierarchy", "3:cpu:/\n", "get_signal", true},
		{"malformed", "x\n", "get_signal", true},
		{"in the root group, which cannot be frozen", "0::/\n", "get_signal", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "cgroup"), c.cgroup)
			writeFile(t, filepath.Join(dir, "wchan"), c.wchan)
			process, err := host.OpenDirectory(unix.AT_FDCWD, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer process.Close()
			e := &Executor{freezers: []freezer{{host.Hierarchy{Version2: true, Mount: filepath.Join(dir, "nowhere"), Root: "/", Controller: "freezer"}}}}
			if got := e.isFrozen(process); got != c.want {
				t.Errorf("frozen %v", got)
			}
		})
	}
}

func TestTheGroupOfAProcessIsFoundBelowTheMount(t *testing.T) {
	v1, v2 := freezer{host.Hierarchy{Root: "/", Controller: "freezer"}}, freezer{host.Hierarchy{Version2: true, Root: "/", Controller: "freezer"}}
	for _, c := range []struct {
		name    string
		freezer freezer
		cgroup  string
		want    string
		found   bool
	}{
		{"version 2", v2, "3:freezer:/a\n0::/b/c\n", "/b/c", true},
		{"version 1", v1, "3:cpu,freezer:/a\n0::/b\n", "/a", true},
		{"a controller that sounds like it", v1, "3:unfreezer:/a\n", "", false},
		{"the root group", v2, "0::/\n", "/", true},
		{"a colon in the name", v2, "0::/a:b\n", "/a:b", true},
		{"a part of the hierarchy is mounted", freezer{host.Hierarchy{Version2: true, Root: "/docker", Controller: "freezer"}}, "0::/docker/x\n", "/x", true},
		{"the very group is mounted", freezer{host.Hierarchy{Version2: true, Root: "/docker", Controller: "freezer"}}, "0::/docker\n", "", true},
		{"another part is mounted", freezer{host.Hierarchy{Version2: true, Root: "/docker", Controller: "freezer"}}, "0::/dockers/x\n", "s/x", false},
		{"outside of our namespace", v2, "0::/../x\n", "/../x", false},
		{"deeper and outside", v2, "0::/x/../../y\n", "/x/../../y", false},
		{"a name that begins with dots", v2, "0::/..x\n", "/..x", true},
		{"none", v2, "3:freezer:/a\n", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, found := c.freezer.GroupOf([]byte(c.cgroup))
			if found != c.found || found && got != c.want {
				t.Errorf("%q, %v", got, found)
			}
		})
	}
}

func FuzzTheGroupOfAProcessIsBelowTheMount(f *testing.F) {
	f.Add([]byte("0::/a/b\n"), "/")
	f.Add([]byte("0::/docker/x/../../y\n"), "/docker")
	f.Fuzz(func(t *testing.T, cgroup []byte, root string) {
		const mount = "/sys/fs/cgroup"
		group, found := freezer{host.Hierarchy{Version2: true, Mount: mount, Root: root, Controller: "freezer"}}.GroupOf(cgroup)
		if joined := filepath.Join(mount, group); found && joined != mount && !strings.HasPrefix(joined, mount+"/") {
			t.Errorf("group %q is outside of the mount: %s", group, joined)
		}
	})
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
