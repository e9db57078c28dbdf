package host

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadingANetworkNamespaceDoesNotAllocate(t *testing.T) {
	h := openHost(t)
	if n := testing.AllocsPerRun(100, func() { _, _ = h.namespaceOf(os.Getpid()) }); n != 0 {
		t.Errorf("%v allocations", n)
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
