package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/internal/leaktest"
)

func TestProcessTakesTheIdentityAskedFor(t *testing.T) {
	tests := []struct {
		name, flag, file, want string
	}{
		{"a plain name", "--comm=leaky-shop", "comm", "leaky-shop\n"},
		{"a newline and quotes", `--comm=a\n"b'`, "comm", "a\n\"b'\n"},
		{"what looks like the end of the name", "--comm=) Z 1", "comm", ") Z 1\n"},
		{"bytes that are not UTF-8", `--comm=\xff\xc3`, "comm", "\xff\xc3\n"},
		{"15 bytes, cut inside a rune", "--comm=abcdefghijklmné", "comm", "abcdefghijklmn\xc3\n"},
		{"another user", "--drop-uid=65534", "status", "Uid:\t65534\t65534\t65534\t65534\n"},
		{"another group", "--drop-uid=65534", "status", "Gid:\t65534\t65534\t65534\t65534\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := leaktest.Where{NetNS: true}.Start(t, "--sockets=1", "--children=1", tt.flag)
			requireAgreement(t, l)
			for _, pid := range append(l.Children, l.PID) {
				leaktest.Eventually(t, maxWait, func() (bool, string) { // a child sets its name last
					got, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, tt.file))
					if err != nil {
						t.Fatal(err)
					}
					equal := string(got) == tt.want || tt.file != "comm" && bytes.Contains(got, []byte(tt.want))
					return equal, fmt.Sprintf("%s of %d is %q, want %q", tt.file, pid, got, tt.want)
				})
			}
		})
	}
}

func TestLimitOfDescriptors(t *testing.T) {
	l := leaktest.Start(t, "--nofile=77")
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", l.PID))
	if err != nil || !strings.Contains(string(limits), "Max open files            77 ") {
		t.Errorf("limits are %s (%v), want 77 open files", limits, err)
	}
}

func TestSIGTERM(t *testing.T) {
	t.Run("ends the program", func(t *testing.T) {
		l := leaktest.Start(t, "--sockets=1")
		l.Signal(syscall.SIGTERM)
		requireGone(t, l.PID)
	})
	t.Run("is ignored if asked for", func(t *testing.T) {
		l := leaktest.Start(t, "--sockets=1", "--ignore-sigterm")
		l.Signal(syscall.SIGTERM)
		if l.Do("leak 1"); l.Leaked != 2 {
			t.Errorf("%d sockets after SIGTERM, want 2", l.Leaked)
		}
	})
	t.Run("leaves the sockets to the children", func(t *testing.T) {
		l := leaktest.Where{NetNS: true}.Start(t, "--sockets=2", "--children=1")
		l.Signal(syscall.SIGTERM)
		requireGone(t, l.PID)
		rows := leaktest.SS(t, l.Children[0])
		if len(rows) != 2 || !rows[0].HeldBy(l.Children[0]) {
			t.Errorf("ss sees %+v, want two sockets of the child %d", rows, l.Children[0])
		}
	})
}

func TestPrivateDescriptorTable(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--private-fdtable")
	if held := leaktest.Descriptors(t, l.PID, leaktest.OfProcess); len(held) != 0 {
		t.Errorf("the process shows sockets: %v", held)
	}
	requireHeldByThreads(t, l)
	l.Do("leak 2")
	requireHeldByThreads(t, l)
}

func TestZombieLeader(t *testing.T) {
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--zombie-leader")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.PID))
	if err != nil || !strings.Contains(string(stat), ") Z ") {
		t.Errorf("stat of the main thread is %q (%v), want state Z", stat, err)
	}
	if held := leaktest.Descriptors(t, l.PID, leaktest.OfProcess); len(held) != 0 {
		t.Errorf("the process shows sockets: %v", held)
	}
	requireHeldByThreads(t, l)
	l.Do("leak 2")
	requireHeldByThreads(t, l)
	l.Signal(syscall.SIGTERM)
	requireGone(t, l.PID)
}

// requireHeldByThreads checks that the descriptor tables of the threads have all sockets.
func requireHeldByThreads(t *testing.T, l *leaktest.Leak) {
	t.Helper()
	held := leaktest.Descriptors(t, l.PID, leaktest.OfThreads)
	for _, s := range l.Sockets {
		if held[s.Inode] == nil {
			t.Errorf("no thread has inode %d: %v", s.Inode, held)
		}
	}
}

// requireGone waits until the process has ended. It may still be a zombie.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if errors.Is(err, os.ErrNotExist) {
			return true, ""
		}
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return len(tasks) == 1 && strings.Contains(string(stat), ") Z "), fmt.Sprintf("process %d is there: %s", pid, stat)
	})
}
