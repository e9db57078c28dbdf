package reaper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/statefile"
	"closewait_exporter/reaper/policy"
	"closewait_exporter/reaper/rules"
)

var thisBoot = closewait.Boot{ID: "b00t", Uptime: time.Hour}

func bootIs(b closewait.Boot) func() (closewait.Boot, error) {
	return func() (closewait.Boot, error) { return b, nil }
}

// someState returns a state with two past actions.
func someState(t *testing.T) *policy.State { return acted(t, alice, bob) }

// acted returns the state after an action on each of the processes, a minute before the epoch.
func acted(t *testing.T, ids ...closewait.ProcessID) *policy.State {
	t.Helper()
	p := newPolicy(rule())
	var holders []*closewait.Holder
	for _, id := range ids {
		holders = append(holders, holder(id, sockets(2, uint64(100*id.PID), -time.Hour)))
	}
	_, s := p.Decide(view(-2*time.Minute, holders...), policy.State{})
	_, s = p.Decide(view(-time.Minute, holders...), s)
	if n := actions(&s); n != len(ids) {
		t.Fatalf("%d actions, want %d", n, len(ids))
	}
	return &s
}

// actions returns the number of actions that a state remembers at the epoch.
func actions(s *policy.State) int {
	limits := rules.Limits{Actions: 100, Per: time.Hour}
	return limits.Actions - s.BudgetLeft(rules.Enforce, epoch, limits)
}

func TestAStateFileThatCannotBeReadIsNoFreshStart(t *testing.T) {
	unknown := func() (closewait.Boot, error) { return closewait.Boot{}, errors.New("no /proc") }
	damaged := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(damaged, []byte("rules: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]*StateFile{
		"a damaged file":                    NewStateFile(damaged, bootIs(thisBoot)),
		"a directory":                       NewStateFile(t.TempDir(), bootIs(thisBoot)),
		"the uptime of the host is unknown": NewStateFile(filepath.Join(t.TempDir(), "state"), unknown),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := file.load(policy.State{}, epoch); err == nil || !strings.Contains(err.Error(), "--reaper.state-file") {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("but one that was never written is", func(t *testing.T) {
		s, err := NewStateFile(filepath.Join(t.TempDir(), "state"), bootIs(thisBoot)).load(policy.State{}, epoch)
		if err != nil || actions(&s) > 0 || s.Frozen(epoch) {
			t.Errorf("%d actions, %v", actions(&s), err)
		}
	})
}

func TestPastActionsOutliveTheProgram(t *testing.T) {
	file := NewStateFile(filepath.Join(t.TempDir(), "state"), bootIs(thisBoot))
	if err := file.save(someState(t), epoch); err != nil {
		t.Fatal(err)
	}
	s, err := file.load(policy.State{}, epoch)
	if err != nil || actions(&s) != 2 {
		t.Errorf("%d actions, %v, want 2", actions(&s), err)
	}
}

// failingDisk is the real disk, on which only the first system calls succeed.
type failingDisk struct {
	statefile.OS
	left    atomic.Int64
	failure error
}

func newFailingDisk(left int64, failure error) *failingDisk {
	d := &failingDisk{failure: failure}
	d.left.Store(left)
	return d
}

var errKilled = errors.New("killed")

func (d *failingDisk) fails() error {
	if d.left.Add(-1) < 0 {
		return d.failure
	}
	return nil
}

func (d *failingDisk) Create(path string) (statefile.File, error) {
	if err := d.fails(); err != nil {
		return nil, err
	}
	file, err := d.OS.Create(path)
	return failingFile{file, d}, err
}

func (d *failingDisk) Rename(from, to string) error {
	if err := d.fails(); err != nil {
		return err
	}
	return d.OS.Rename(from, to)
}

func (d *failingDisk) SyncDirectory(path string) error {
	if err := d.fails(); err != nil {
		return err
	}
	return d.OS.SyncDirectory(path)
}

type failingFile struct {
	statefile.File
	disk *failingDisk
}

func (f failingFile) Write(data []byte) (int, error) {
	if err := f.disk.fails(); err != nil {
		n, _ := f.File.Write(data[:len(data)/2])
		return n, err
	}
	return f.File.Write(data)
}

func (f failingFile) Sync() error {
	if err := f.disk.fails(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f failingFile) Close() error {
	err := f.disk.fails()
	return errors.Join(err, f.File.Close())
}

func TestAKillBetweenAnyTwoSystemCallsLeavesTheOldStateOrTheNew(t *testing.T) {
	const calls = 6 // create, write, sync, close, rename, sync the directory
	for left := range calls + 1 {
		t.Run(fmt.Sprint("after ", left), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			old := NewStateFile(path, bootIs(thisBoot))
			if err := old.save(someState(t), epoch); err != nil {
				t.Fatal(err)
			}
			killed := NewStateFile(path, bootIs(thisBoot))
			killed.disk = newFailingDisk(int64(left), errKilled)
			fresh := acted(t, alice)
			if err := killed.save(fresh, epoch); (err == nil) != (left == calls) {
				t.Fatalf("error %v", err)
			}
			got, err := old.load(policy.State{}, epoch)
			if err != nil {
				t.Fatal(err)
			}
			if n, want := actions(&got), map[bool]int{true: 1, false: 2}[left > 4]; n != want {
				t.Errorf("%d actions are remembered, want %d", n, want)
			}
			if err := old.save(fresh, epoch); err != nil {
				t.Errorf("the file that was left behind prevents the next save: %v", err)
			}
			if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestAStateFileThatCannotBeWrittenSaysHowToMendIt(t *testing.T) {
	full := NewStateFile(filepath.Join(t.TempDir(), "state"), bootIs(thisBoot))
	full.disk = newFailingDisk(1, errors.New("no space left on device"))
	for name, f := range map[string]*StateFile{
		"a full disk":             full,
		"no such directory":       NewStateFile(filepath.Join(t.TempDir(), "none", "state"), bootIs(thisBoot)),
		"a file for a directory":  NewStateFile("/dev/null/state", bootIs(thisBoot)),
		"a read-only file system": NewStateFile("/proc/state", bootIs(thisBoot)),
	} {
		if err := f.save(someState(t), epoch); err == nil || !strings.Contains(err.Error(), "--reaper.state-file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(full.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a half-written file took the place: %v", err)
	}
}
