package kernel

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// TestAFrozenProcessIsHalted freezes a real process by each kind of cgroup that is mounted here.
func TestAFrozenProcessIsHalted(t *testing.T) {
	h := newHands(t)
	if len(h.freezers) == 0 {
		t.Skip("no cgroup hierarchy with a freezer is mounted")
	}
	for _, f := range h.freezers {
		name, switches, on, off := "version 1", "freezer.state", "FROZEN", "THAWED"
		if f.version2 {
			name, switches, on, off = "version 2", "cgroup.freeze", "1", "0"
		}
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(f.mount, "closewait-test-"+itoa(os.Getpid()))
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
				write(t, filepath.Join(dir, switches), off)
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				leaktest.Eventually(t, soon, func() (bool, string) {
					err := os.Remove(group)
					return err == nil, "the inner cgroup is not empty"
				})
			})
			write(t, filepath.Join(group, "cgroup.procs"), itoa(cmd.Process.Pid))
			g := grab(t, h, cmd.Process.Pid)
			for _, frozen := range []bool{false, true, false} {
				value := map[bool]string{true: on, false: off}[frozen]
				write(t, filepath.Join(dir, switches), value) // the group above: it passes on downwards
				leaktest.Eventually(t, soon, func() (bool, string) {
					s, err := g.State()
					return err == nil && s.Frozen == frozen && s.Halted() == frozen, value + " has no effect"
				})
			}
		})
	}
}

// TestAFrozenProcessIsHaltedWhereItsCgroupCannotBeSeen is what a container sees of its host.
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
			write(t, filepath.Join(dir, "cgroup"), c.cgroup)
			write(t, filepath.Join(dir, "wchan"), c.wchan)
			process, err := openDirectory(unix.AT_FDCWD, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer process.close()
			h := &Hands{freezers: []freezer{{version2: true, mount: filepath.Join(dir, "nowhere"), root: "/"}}}
			if got := h.frozen(process); got != c.want {
				t.Errorf("frozen %v", got)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
