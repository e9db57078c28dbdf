package scan_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// always is a Refresh after which each scan searches for all holders, as far as the cost permits.
const always = time.Nanosecond

func TestEveryHolderCountsASharedSocketAndTheHostOnce(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=4", "--children=2")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		v.agrees(l)
		for _, pid := range append(l.Children, l.PID) {
			if h := v.holder(pid).Ended; h.Len() != 4 || h.Shared != 4 {
				t.Errorf("process %d holds %d, %d of them shared, want 4 and 4", pid, h.Len(), h.Shared)
			}
		}
		if total := v.Sockets.Total(); total != 4 {
			t.Errorf("%d sockets on the host, want 4", total)
		}
	})
}

func TestAParentThatHasClosedItsCopyHoldsNothing(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		l := leaktest.Start(t, "--sockets=3", "--children=2")
		scanner := openTracked(t, kind, scan.Options{Refresh: always})
		scanner.view()
		l.Do("close 3")
		v := scanner.await(func(v view) (bool, string) { return v.held(l.PID) == 0, v.String() })
		v.agrees(l)
		for _, pid := range l.Children {
			if h := v.holder(pid); h.Ended.Len() != 3 || h.Ended.Shared != 3 || h.Entered != 3 || h.Left != 0 {
				t.Errorf("child %d: %d held, %d shared, %d entered, %d left", pid, h.Ended.Len(), h.Ended.Shared, h.Entered, h.Left)
			}
		}
		if total := v.Sockets.Total(); total != 3 {
			t.Errorf("%d sockets on the host, want 3: the children keep them", total)
		}
	})
}

// TestAHolderThatHasDiedIsRemovedAtOnce also holds while the dead parent is a zombie, which it is
// until the end of the test.
func TestAHolderThatHasDiedIsRemovedAtOnce(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		l := leaktest.Start(t, "--sockets=3", "--children=1")
		scanner := openTracked(t, kind, scan.Options{Refresh: time.Hour})
		scanner.view().holder(l.PID)
		l.Signal(unix.SIGKILL)
		awaitZombie(t, l.PID)
		v := scanner.view()
		if n := v.held(l.PID); n != 0 {
			t.Errorf("the dead parent holds %d", n)
		}
		if h := v.holder(l.Children[0]).Ended; h.Len() != 3 || h.Shared != 0 {
			t.Errorf("the child holds %d, %d of them shared, want 3 and 0", h.Len(), h.Shared)
		}
	})
}

func TestSocketsThatWerePassedOnBelongToTheReceiver(t *testing.T) {
	l := leaktest.Start(t, "--sockets=3", "--pass")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		v.agrees(l)
		if parent, child := v.held(l.PID), v.held(l.Children[0]); parent != 0 || child != 3 {
			t.Errorf("the sender holds %d and the receiver %d, want 0 and 3", parent, child)
		}
	})
}

func TestASocketThatIsPassedOnLeavesOneHolderAndEntersTheOther(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		listener := listen(t, "127.0.0.1:0")
		kept, given := connect(t, listener), connect(t, listener)
		kept.CloseClient()
		given.CloseClient()
		ns := netNSOf(t, os.Getpid())
		scanner := openTracked(t, kind, scan.Options{Refresh: always})
		since := scanner.view().socket(ns, given.Local(), given.Remote()).Since
		file, err := given.Server.File()
		if err != nil {
			t.Fatal(err)
		}
		given.Server.Close()
		child := keepOpen(t, file)
		v := scanner.await(func(v view) (bool, string) { return v.held(child.Pid) == 1 && v.held(os.Getpid()) == 1, v.String() })
		us, they := v.holder(os.Getpid()), v.holder(child.Pid)
		if us.Entered != 2 || us.Left != 1 || they.Entered != 1 || they.Left != 0 {
			t.Errorf("entered and left: we %d and %d, they %d and %d, want 2 1 1 0", us.Entered, us.Left, they.Entered, they.Left)
		}
		if s := v.socket(ns, given.Local(), given.Remote()); !s.Since.Equal(since) {
			t.Errorf("since %v, before it changed hands %v", s.Since, since)
		}
		if v.Durations.Count != 0 {
			t.Errorf("%d sockets have left CLOSE_WAIT", v.Durations.Count)
		}
	})
}

func TestSocketsInFlightHaveNoHolder(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=3", "--in-flight")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		for name, c := range map[string]struct {
			all  bool // every process of the host is visible
			want closewait.Owner
		}{
			"and the kernel has them when every process could be read": {true, closewait.OwnedByKernel},
			"unresolved where a process may be hidden":                 {false, closewait.OwnerUnresolved},
		} {
			t.Run(name, func(t *testing.T) {
				scanner := openTracked(t, kind, scan.Options{})
				scanner.host.SeesAllProcesses = c.all
				for range 3 { // a further search does not change it
					v := scanner.view()
					if n := v.Sockets.Of(closewait.IPv4, c.want); n != 3 || len(v.Ownerless) != 3 || v.find(l.PID) != nil {
						t.Errorf("%d of owner %v, want 3: %v", n, c.want, v)
					}
					if (v.Coverage() == 1) != c.all {
						t.Errorf("coverage %v", v.Coverage())
					}
				}
			})
		}
	})
}

func TestAProcessWithSeveralDescriptorsOfASocketCountsItOnce(t *testing.T) {
	c := connect(t, listen(t, "127.0.0.1:0"))
	c.CloseClient()
	for range 3 {
		file, err := c.Server.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
	}
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		h := openTracked(t, kind, scan.Options{}).view().holder(os.Getpid())
		if h.Ended.Len() != 1 || h.Ended.Shared != 0 {
			t.Errorf("%d held, %d shared, want 1 and 0", h.Ended.Len(), h.Ended.Shared)
		}
	})
}

// awaitZombie returns when a process has ended and is a zombie.
func awaitZombie(t testing.TB, pid int) {
	t.Helper()
	leaktest.Eventually(t, timeout, func() (bool, string) {
		state, threads := stateOf(t, pid), count(t, "/proc/"+strconv.Itoa(pid)+"/task/*")
		return state == 'Z' && threads == 1, fmt.Sprintf("state %c with %d threads", state, threads)
	})
}
