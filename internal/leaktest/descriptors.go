package leaktest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Directories below /proc/PID that list descriptors.
const (
	OfProcess = "fd"        // the table of the main thread, which other threads usually share
	OfThreads = "task/*/fd" // the table of each thread
)

// Descriptors maps the inode of each socket of a process to its descriptors. It is empty for a
// process that has ended.
func Descriptors(t testing.TB, pid int, where string) map[uint64][]int {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/%s/*", pid, where))
	if err != nil {
		t.Fatal(err)
	}
	sockets := map[uint64][]int{}
	for _, link := range links {
		target, _ := os.Readlink(link) // empty if it has been closed meanwhile
		digits, ok := strings.CutPrefix(target, "socket:[")
		if !ok {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			t.Fatal(err)
		}
		sockets[inode] = append(sockets[inode], fd)
	}
	return sockets
}

// SS asks ss for the sockets in the network namespace of the program, as the function SS does, but
// finds users only among the program and its children.
func (l *Leak) SS(states ...string) []Row {
	l.t.Helper()
	pids := make([]int, len(l.family))
	for i, p := range l.family {
		pids[i] = p.pid
	}
	return addUsers(l.t, show(l.t, "-taneiOH", l.PID, states), pids)
}

// SSOfMPTCP asks ss for the MPTCP sockets in the network namespace of the program, as SS does.
func (l *Leak) SSOfMPTCP(states ...string) []Row {
	l.t.Helper()
	return SSOfMPTCP(l.t, l.PID, states...)
}

// SSOf asks ss for the sockets in the network namespace of the test, as the function SS does, but
// finds users only among the given processes: on a host with many sockets ss takes minutes to find
// users.
func SSOf(t testing.TB, pids []int, states ...string) []Row {
	t.Helper()
	return addUsers(t, show(t, "-taneiOH", 0, states), pids)
}

func addUsers(t testing.TB, rows []Row, pids []int) []Row {
	t.Helper()
	for _, pid := range pids {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // a process that has ended holds nothing
		held := Descriptors(t, pid, OfProcess)
		for i := range rows {
			for _, fd := range held[rows[i].Inode] {
				rows[i].Users = append(rows[i].Users, User{strings.TrimSuffix(string(comm), "\n"), pid, fd})
			}
		}
	}
	return rows
}
