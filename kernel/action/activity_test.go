package action

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

// activityOf reads the Activity of a process in both ways, which must agree unless it changes
// meanwhile.
func activityOf(t *testing.T, e *Executor, h *ProcessHandle) closewait.Activity {
	t.Helper()
	first, err := h.Activity()
	if err != nil {
		t.Fatal(err)
	}
	second, err := e.Activity(h.ID())
	if err != nil {
		t.Fatal(err)
	}
	third, err := h.Activity()
	if err != nil {
		t.Fatal(err)
	}
	steady := first.Halted == third.Halted
	if steady && first.Halted != second.Halted || first.Ran > second.Ran || first.Cgroup != second.Cgroup {
		t.Errorf("%+v and %+v", first, second)
	}
	return second
}

func TestAProcessThatWaitsForAnEventIsNotStuck(t *testing.T) {
	e := newExecutor(t)
	cmd := startSleep(t)
	awaitState(t, cmd.Process.Pid, "S")
	h := openHandle(t, e, cmd.Process.Pid)
	before := activityOf(t, e, h)
	after := activityOf(t, e, h)
	if after.Halted != "" || before.Ran == 0 || after.Ran != before.Ran || after.StuckSince(&before) {
		t.Errorf("%+v, then %+v", before, after)
	}
	if err := h.Signal("STOP"); err != nil {
		t.Fatal(err)
	}
	awaitState(t, cmd.Process.Pid, "T")
	if a := activityOf(t, e, h); a.Halted != "1 of 1 threads stopped or traced" {
		t.Errorf("%+v", a)
	}
}

// TestAProcessInDirectIOHasRun: it is in state D most of the time, and works.
func TestAProcessInDirectIOHasRun(t *testing.T) {
	e := newExecutor(t)
	file := filepath.Join(t.TempDir(), "file")
	cmd := start(t, nil, "dd", "if=/dev/zero", "of="+file, "bs=64k", "count=16384", "oflag=direct", "status=none")
	h := openHandle(t, e, cmd.Process.Pid)
	before := activityOf(t, e, h)
	leaktest.Eventually(t, soon, func() (bool, string) {
		if exited, _ := h.Exited(); exited {
			t.Skip("needs a file system with direct I/O")
		}
		after := activityOf(t, e, h)
		return after.Ran > before.Ran && !after.StuckSince(&before) && after.Halted == "", fmt.Sprintf("%+v, then %+v", before, after)
	})
}

func TestAProcessThatNoDiskAnswersIsStuck(t *testing.T) {
	e := newExecutor(t)
	disk := newFreezableDisk(t)
	disk.freeze()
	cmd := start(t, nil, "sh", "-c", "exec >"+filepath.Join(disk.dir, "file"))
	awaitState(t, cmd.Process.Pid, "D")
	h := openHandle(t, e, cmd.Process.Pid)
	before := activityOf(t, e, h)
	if after := activityOf(t, e, h); !after.StuckSince(&before) || after.Halted != "" {
		t.Errorf("%+v, then %+v", before, after)
	}
	disk.thaw()
	awaitEnd(t, h)
}

// TestAFreezeThatIsOverIsNoticed needs cgroup.stat.local, which Linux has since 6.18.
func TestAFreezeThatIsOverIsNoticed(t *testing.T) {
	e := newExecutor(t)
	for _, f := range e.freezers {
		if !f.Version2 {
			continue
		}
		dir := filepath.Join(f.Mount, "closewait-activity-"+itoa(os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skipf("cannot make a cgroup: %v", err)
		}
		t.Cleanup(func() {
			leaktest.Eventually(t, soon, func() (bool, string) {
				err := os.Remove(dir)
				return err == nil, "the cgroup is not empty"
			})
		})
		if _, err := os.Stat(filepath.Join(dir, "cgroup.stat.local")); err != nil {
			t.Skipf("needs Linux 6.18: %v", err)
		}
		cmd := startSleep(t)
		writeFile(t, filepath.Join(dir, "cgroup.procs"), itoa(cmd.Process.Pid))
		h := openHandle(t, e, cmd.Process.Pid)
		before := activityOf(t, e, h)
		if before.Cgroup != dir || before.FrozenSince(&before) {
			t.Fatalf("%+v, want the cgroup %s", before, dir)
		}
		writeFile(t, filepath.Join(dir, "cgroup.freeze"), "1")
		leaktest.Eventually(t, soon, func() (bool, string) {
			a := activityOf(t, e, h)
			return a.Halted == "frozen by its cgroup", fmt.Sprintf("%+v", a)
		})
		writeFile(t, filepath.Join(dir, "cgroup.freeze"), "0")
		leaktest.Eventually(t, soon, func() (bool, string) {
			a := activityOf(t, e, h)
			return a.Halted == "" && a.FrozenSince(&before), fmt.Sprintf("%+v, then %+v", before, a)
		})
		return
	}
	t.Skip("no cgroup v2 is mounted")
}

func TestTheActivityOfAnEndedProcessIsGone(t *testing.T) {
	e := newExecutor(t)
	cmd := startSleep(t)
	h := openHandle(t, e, cmd.Process.Pid)
	if err := h.Signal("KILL"); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, h)
	_ = cmd.Wait()
	if a, err := e.Activity(h.ID()); err == nil {
		t.Errorf("%+v", a)
	}
	if a, err := h.Activity(); err == nil {
		t.Errorf("%+v", a)
	}
}
