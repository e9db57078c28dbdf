package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// socketsOf returns the inodes of the sockets that a process holds.
func socketsOf(t *testing.T, pid int) map[string]bool {
	t.Helper()
	links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil {
			held[target] = true
		}
	}
	return held
}

func requireHeld(t *testing.T, by int, sockets []leaktest.Socket) {
	t.Helper()
	held := socketsOf(t, by)
	for _, s := range sockets {
		if !held["socket:["+strconv.FormatUint(s.Inode, 10)+"]"] {
			t.Errorf("process %d does not hold socket %d", by, s.Inode)
		}
	}
}

func TestSocketsAreHandedOverToAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	to := leaktest.Start(t, "--receive="+path)
	from := leaktest.Start(t, "--sockets=300", "--hand-over="+path)
	if len(from.Sockets) != 300 || len(from.Sockets[0].Holders) != 0 {
		t.Fatalf("%d sockets, want 300 without a holder that it knows", len(from.Sockets))
	}
	requireHeld(t, to.PID, from.Sockets)
	if to.Do("leak 1"); to.Leaked != 1 { // it still answers
		t.Errorf("%d leaked, want 1", to.Leaked)
	}
}

func TestTheSocketsStayWhenItExecutesAnotherProgram(t *testing.T) {
	l := leaktest.Start(t, "--sockets=3")
	l.Do("exec " + leaktest.Build(t))
	leaktest.Eventually(t, 20*time.Second, func() (bool, string) {
		line, err := os.ReadFile("/proc/" + strconv.Itoa(l.PID) + "/cmdline")
		return err == nil && string(line) == leaktest.Build(t)+"\x00holder\x00", "its command line is " + string(line)
	})
	requireHeld(t, l.PID, l.Sockets)
}
