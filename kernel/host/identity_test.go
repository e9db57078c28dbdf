package host

import (
	"errors"
	"os"
	"testing"

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
