package reaper

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"closewait_exporter/closewait"

	"github.com/google/go-cmp/cmp"
)

var thisBoot = closewait.Boot{ID: "b00t", Uptime: time.Hour}

func bootIs(b closewait.Boot) func() (closewait.Boot, error) {
	return func() (closewait.Boot, error) { return b, nil }
}

func later(d time.Duration) closewait.Boot {
	return closewait.Boot{ID: thisBoot.ID, Uptime: thisBoot.Uptime + d}
}

// someLeash was saved at the epoch.
func someLeash() *leash {
	return &leash{
		spent:     []time.Time{epoch.Add(-8 * time.Minute), epoch.Add(-time.Minute)},
		frozen:    epoch.Add(5 * time.Minute),
		cooldowns: map[cooldownKey]cooldown{{"leak", "web.service"}: {epoch.Add(9 * time.Minute), 20 * time.Minute, 1, false}},
	}
}

// shifted is someLeash as it looks when less time has passed than the clock of the test says.
func shifted(by time.Duration) *leash {
	l := someLeash()
	for i := range l.spent {
		l.spent[i] = l.spent[i].Add(by)
	}
	l.frozen = l.frozen.Add(by)
	for key, c := range l.cooldowns {
		c.until = c.until.Add(by)
		l.cooldowns[key] = c
	}
	return l
}

var leashCmp = cmp.Options{cmp.AllowUnexported(leash{}, cooldown{}, cooldownKey{}), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })}

func TestWhatWasDoneOutlivesTheProgram(t *testing.T) {
	scenarios := map[string]struct {
		boot closewait.Boot // at the start after
		now  time.Duration  // since the epoch, as the clock of the new program says
		want *leash
	}{
		"at once":             {later(0), 0, shifted(0)},
		"three minutes later": {later(3 * time.Minute), 3 * time.Minute, shifted(0)},
		"three minutes later, clock set by a year":        {later(3 * time.Minute), 365 * 24 * time.Hour, shifted(365*24*time.Hour - 3*time.Minute)},
		"three minutes later, clock set back":             {later(3 * time.Minute), -time.Hour, shifted(-time.Hour - 3*time.Minute)},
		"an uptime that goes back is no time":             {closewait.Boot{ID: thisBoot.ID, Uptime: time.Second}, 0, shifted(0)},
		"after a restart of the host, its uptime is sure": {closewait.Boot{ID: "other", Uptime: 2 * time.Minute}, time.Hour, shifted(time.Hour - 2*time.Minute)},
	}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			if err := NewStateFile(path, bootIs(thisBoot)).save(someLeash(), epoch); err != nil {
				t.Fatal(err)
			}
			got, err := NewStateFile(path, bootIs(s.boot)).load(epoch.Add(s.now))
			if diff := cmp.Diff(s.want, &got, leashCmp); err != nil || diff != "" {
				t.Errorf("%v; -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestAStateFileThatCannotBeReadIsNoFreshStart(t *testing.T) {
	good, err := someLeash().encode(epoch, thisBoot)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty":             "",
		"cut short":         string(good[:len(good)/2]),
		"one digit changed": strings.Replace(string(good), `"relapses":1`, `"relapses":0`, 1),
		"zeros":             string(make([]byte, len(good))),
		"of the future":     sealed(`{"version":2}`),
		"of a wrong shape":  sealed(`{"version":"1"}`),
		"something else":    "rules: []\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := NewStateFile(path, bootIs(thisBoot)).load(epoch)
			if err == nil || !strings.Contains(err.Error(), "--reaper.state-file") {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("a directory", func(t *testing.T) {
		if _, err := NewStateFile(t.TempDir(), bootIs(thisBoot)).load(epoch); err == nil {
			t.Error("no error")
		}
	})
	t.Run("nobody knows how long the host runs", func(t *testing.T) {
		unknown := func() (closewait.Boot, error) { return closewait.Boot{}, errors.New("no /proc") }
		if _, err := NewStateFile(filepath.Join(t.TempDir(), "state"), unknown).load(epoch); err == nil {
			t.Error("no error")
		}
	})
	t.Run("but one that was never written is", func(t *testing.T) {
		l, err := NewStateFile(filepath.Join(t.TempDir(), "state"), bootIs(thisBoot)).load(epoch)
		if err != nil || len(l.spent) > 0 || !l.frozen.IsZero() {
			t.Errorf("%v, %v", l, err)
		}
	})
}

func sealed(state string) string {
	return fmt.Sprintf(`{"checksum":%d,"state":%s}`, crc32.Checksum([]byte(state), castagnoli), state)
}

// failingDisk is a real one on which the nth system call does not happen, nor any after it.
type failingDisk struct {
	osDisk
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

func (d *failingDisk) create(path string) (diskFile, error) {
	if err := d.fails(); err != nil {
		return nil, err
	}
	file, err := d.osDisk.create(path)
	return failingFile{file, d}, err
}

func (d *failingDisk) rename(from, to string) error {
	if err := d.fails(); err != nil {
		return err
	}
	return d.osDisk.rename(from, to)
}

func (d *failingDisk) syncDirectory(path string) error {
	if err := d.fails(); err != nil {
		return err
	}
	return d.osDisk.syncDirectory(path)
}

type failingFile struct {
	diskFile
	disk *failingDisk
}

func (f failingFile) Write(data []byte) (int, error) {
	if err := f.disk.fails(); err != nil {
		n, _ := f.diskFile.Write(data[:len(data)/2])
		return n, err
	}
	return f.diskFile.Write(data)
}

func (f failingFile) Sync() error {
	if err := f.disk.fails(); err != nil {
		return err
	}
	return f.diskFile.Sync()
}

func (f failingFile) Close() error {
	err := f.disk.fails()
	return errors.Join(err, f.diskFile.Close())
}

func TestAKillBetweenAnyTwoSystemCallsLeavesTheOldStateOrTheNew(t *testing.T) {
	const calls = 6 // create, write, sync, close, rename, sync the directory
	for left := range calls + 1 {
		t.Run(fmt.Sprint("after ", left), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			old := NewStateFile(path, bootIs(thisBoot))
			if err := old.save(someLeash(), epoch); err != nil {
				t.Fatal(err)
			}
			killed := NewStateFile(path, bootIs(thisBoot))
			killed.disk = newFailingDisk(int64(left), errKilled)
			fresh := &leash{spent: []time.Time{epoch}}
			if err := killed.save(fresh, epoch); (err == nil) != (left == calls) {
				t.Fatalf("error %v", err)
			}
			got, err := old.load(epoch)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: 1, false: 2}[left > 4]; len(got.spent) != want {
				t.Errorf("%d actions are remembered, want %d", len(got.spent), want)
			}
			if err := old.save(fresh, epoch); err != nil {
				t.Errorf("what was left behind is in the way: %v", err)
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
		if err := f.save(someLeash(), epoch); err == nil || !strings.Contains(err.Error(), "--reaper.state-file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(full.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a half-written file took the place: %v", err)
	}
}
