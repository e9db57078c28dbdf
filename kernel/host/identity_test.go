package host

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// openHost opens /proc until the end of the test.
func openHost(t testing.TB) *Host {
	t.Helper()
	h, err := Open(DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func ownID(t testing.TB, h *Host) closewait.ProcessID {
	t.Helper()
	dir, err := h.Proc.OpenPID(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	st, _, err := dir.ReadStat(nil)
	if err != nil {
		t.Fatal(err)
	}
	return closewait.ProcessID{PID: os.Getpid(), Start: st.Start}
}

func TestAProcessIsOpenedOnlyIfItStartedWhenItShouldHave(t *testing.T) {
	h := openHost(t)
	id := ownID(t, h)
	dir, err := h.OpenProcess(id)
	if err != nil {
		t.Fatal(err)
	}
	dir.Close()
	if !h.Lives(id) {
		t.Error("this process does not live")
	}
	other := closewait.ProcessID{PID: id.PID, Start: id.Start + 1}
	for _, id := range []closewait.ProcessID{other, {PID: 1 << 22, Start: 1}} {
		if _, err := h.OpenProcess(id); !Vanished(err) || !errors.Is(GoneIfVanished(err), closewait.ErrGone) {
			t.Errorf("process %+v: %v", id, err)
		}
		if h.Lives(id) {
			t.Errorf("process %+v lives", id)
		}
	}
}

func TestReadingANetworkNamespaceDoesNotAllocate(t *testing.T) {
	h := openHost(t)
	if n := testing.AllocsPerRun(100, func() { _, _ = h.namespaceOf(os.Getpid()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkLives allocates the paths for the system calls, and no buffer for the stat.
func BenchmarkLives(b *testing.B) {
	h := openHost(b)
	id := ownID(b, h)
	b.ReportAllocs()
	for b.Loop() {
		if !h.Lives(id) {
			b.Fatal("this process does not live")
		}
	}
}

func TestPIDsAreListedAscending(t *testing.T) {
	pids, err := openHost(t).ListPIDs()
	if err != nil || !slices.IsSorted(pids) || !slices.Contains(pids, os.Getpid()) {
		t.Errorf("%v, %v", pids, err)
	}
}

func TestTheOwnNamespaceComesFirstAndOnce(t *testing.T) {
	h := openHost(t)
	list := h.Namespaces([]int{os.Getpid()})
	if len(list) != 1 || list[0] != h.OwnNetNS || !list[0].Own {
		t.Errorf("%+v", list)
	}
	id, err := ReadNamespace(h.Proc, strconv.Itoa(os.Getpid()))
	if err != nil || id != h.OwnNetNS.ID {
		t.Errorf("%d, %v, want %d", id, err, h.OwnNetNS.ID)
	}
}

func TestANamespaceInWhichNoProcessLivesIsNotEntered(t *testing.T) {
	h := openHost(t)
	entered := 0
	enter := func() error { entered++; return nil }
	if err := h.InNamespace(t.Context(), 1, enter); !errors.Is(err, unix.ESRCH) || entered != 0 {
		t.Errorf("%v, entered %d times", err, entered)
	}
	if err := h.InNamespace(t.Context(), h.OwnNetNS.ID, enter); err != nil || entered != 1 {
		t.Errorf("%v, entered %d times", err, entered)
	}
}

func TestUserNamesAreSafeForConcurrentUse(t *testing.T) {
	h := openHost(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if name := h.UserName(4000000000); name != "4000000000" {
				t.Errorf("a user without a name is called %q", name)
			}
			if name := h.UserName(0); name != "root" {
				t.Errorf("user 0 is called %q", name)
			}
		})
	}
	group.Wait()
}
