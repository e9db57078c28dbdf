package scan_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// TestASocketKeepsTheUserThatHasOpenedIt: root holds sockets that another user has opened, as after
// SCM_RIGHTS. The reaper decides by that user whose doing they are.
func TestASocketKeepsTheUserThatHasOpenedIt(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Where{UID: unprivilegedID}.Start(t, "--sockets=2", "--outbound=1")
	pidfd, err := unix.PidfdOpen(l.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	links, err := filepath.Glob("/proc/" + strconv.Itoa(l.PID) + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	inodes := map[string]bool{}
	for _, s := range l.Sockets {
		inodes["socket:["+strconv.FormatUint(s.Inode, 10)+"]"] = true
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || !inodes[target] {
			continue
		}
		number, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdGetfd(pidfd, number, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
	withEachScanner(t, func(t *testing.T, e scannerKind) {
		h := openTracked(t, e, scan.Options{}).view().holder(os.Getpid())
		if h.UID != 0 || h.Ended.Len() != len(l.Sockets) {
			t.Fatalf("user %d holds %d sockets, want 0 and %d", h.UID, h.Ended.Len(), len(l.Sockets))
		}
		for _, s := range h.Ended.Sockets {
			if s.UID != unprivilegedID {
				t.Errorf("a socket of user %d, want %d", s.UID, unprivilegedID)
			}
		}
	})
}
