package host

import (
	"errors"
	"os"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
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
func TestAProcessIsOpenedOnlyIfItStartedWhenItShouldHave(t *testing.T) {
	h := openHost(t)
	id := kerneltest.IdentityOf(t, os.Getpid())
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
	id := kerneltest.IdentityOf(b, os.Getpid())
	b.ReportAllocs()
	for b.Loop() {
		if !h.Lives(id) {
			b.Fatal("this process does not live")
		}
	}
}
