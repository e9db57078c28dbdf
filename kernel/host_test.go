package kernel

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
)

func TestTheBootIDIsThatOfTheKernel(t *testing.T) {
	h := newHands(t)
	id, err := h.BootID()
	if err != nil || !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(id) {
		t.Errorf("%q, %v", id, err)
	}
}

func TestAncestorsAreAProcessAndThoseAboveIt(t *testing.T) {
	h := newHands(t)
	child := start(t, nil, "sh", "-c", "sleep 1000 & wait")
	var grandchild int
	leaktest.Eventually(t, soon, func() (bool, string) {
		children, _ := os.ReadFile("/proc/" + itoa(child.Process.Pid) + "/task/" + itoa(child.Process.Pid) + "/children")
		grandchild, _ = strconv.Atoi(strings.TrimSpace(string(children)))
		return grandchild != 0, "the shell has no child"
	})
	defer func() { _ = syscall.Kill(grandchild, syscall.SIGKILL) }()
	own, err := h.Ancestors()
	if err != nil || own[0] != idOf(t, os.Getpid()) {
		t.Fatalf("own ancestors %v, %v", own, err)
	}
	want := append([]closewait.ProcessID{idOf(t, grandchild), idOf(t, child.Process.Pid)}, own...)
	if list, err := h.ancestorsOf(grandchild); err != nil || !slices.Equal(list, want) {
		t.Errorf("%v, %v, want %v", list, err, want)
	}
	if last := own[len(own)-1]; last.PID != 1 {
		t.Errorf("the last is %v, want process 1", last)
	}
}

func TestOnlyOneClaimsTheHost(t *testing.T) {
	h := newHands(t)
	first, err := h.Claim()
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Claim()
	if !errors.Is(err, ErrClaimed) || !strings.Contains(err.Error(), "process "+itoa(os.Getpid())) {
		t.Errorf("a second claim: %v, want %v by this process", err, ErrClaimed)
	}
	// Without file systems in common, as in another container.
	other := start(t, nil, "unshare", "-m", "-n", "flock", "-n", "/proc/self/ns/pid", "true")
	if err := other.Wait(); err == nil {
		t.Error("a process in another mount namespace gets the lock too")
	}
	first.Release()
	again, err := h.Claim()
	if err != nil {
		t.Fatalf("after it was given up: %v", err)
	}
	again.Release()
}

func TestTheClaimEndsWithItsProcess(t *testing.T) {
	h := newHands(t)
	holder := start(t, nil, "flock", "--no-fork", "/proc/self/ns/pid", "sleep", "1000")
	awaitClaimed(t, h, true)
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitClaimed(t, h, false)
}

func awaitClaimed(t *testing.T, h *Hands, want bool) {
	t.Helper()
	leaktest.Eventually(t, soon, func() (bool, string) {
		c, err := h.Claim()
		if err == nil {
			c.Release()
		}
		return errors.Is(err, ErrClaimed) == want, fmt.Sprint(err)
	})
}
