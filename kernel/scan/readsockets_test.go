package scan_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
)

// heldSocket is a socket as its descriptors show it, in each thread of each process.
type heldSocket struct {
	state     tcp.State
	multipath bool     // it is one of MPTCP
	holders   []int    // ascending
	handles   []string // descriptors with their processes
}

// readAllSockets inspects all connections and listeners of which a process has a descriptor, by
// inode.
func readAllSockets(t testing.TB) map[uint64]*heldSocket {
	t.Helper()
	sockets := map[uint64]*heldSocket{}
	for _, pid := range numbersIn(t, "/proc") {
		for _, tid := range numbersIn(t, fmt.Sprintf("/proc/%d/task", pid)) {
			for inode, fds := range leaktest.Descriptors(t, pid, fmt.Sprintf("task/%d/fd", tid)) {
				if sockets[inode] == nil {
					sockets[inode] = inspect(pid, tid, fds[0])
				}
				if h := sockets[inode]; !slices.Contains(h.holders, pid) {
					h.holders = append(h.holders, pid)
				}
				sockets[inode].add(pid, tid, fds)
			}
		}
	}
	return sockets
}

// add adds descriptors. Descriptors of another thread are added only if the main thread does not
// have them.
func (h *heldSocket) add(pid, tid int, fds []int) {
	for _, fd := range fds {
		handle := fmt.Sprintf("%d/fd/%d", pid, fd)
		if slices.Contains(h.handles, handle) {
			continue
		}
		if tid != pid {
			handle = fmt.Sprintf("%d/task/%d/fd/%d", pid, tid, fd)
		}
		h.handles = append(h.handles, handle)
	}
	slices.Sort(h.handles)
}

// numbersIn returns the names in a directory of /proc that are numbers, ascending.
func numbersIn(t testing.TB, dir string) (numbers []int) {
	t.Helper()
	for _, name := range matches(t, dir+"/[0-9]*") {
		n, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}

// inspect inspects a socket through a copy of its descriptor. The result is empty if it is not a
// TCP socket.
func inspect(pid, tid, fd int) *heldSocket {
	h := &heldSocket{}
	flags := 0
	if tid != pid {
		flags = unix.O_EXCL // PIDFD_THREAD, Linux 6.9
	}
	process, err := unix.PidfdOpen(tid, flags)
	if err != nil {
		return h
	}
	defer unix.Close(process)
	copied, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return h
	}
	defer unix.Close(copied)
	if h.state, err = tcp.StateOf(copied); err != nil {
		return &heldSocket{}
	}
	h.multipath = isMultipath(copied)
	return h
}

// isMultipath reports whether a socket is one of MPTCP, also if it has fallen back to TCP.
func isMultipath(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_MPTCP
}
