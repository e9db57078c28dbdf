package kerneltest

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest/tcp"
)

// Isolate is for TestMain. It runs the tests on a host of their own (see package hosttest) with
// small tables of connections, and returns in the process on that host. Where that is not permitted
// it returns in this process, and the tests run among all other processes.
func Isolate() {
	undo := func() {}
	if !hosttest.Own() {
		undo = shrinkHashTable()
	}
	if err := hosttest.Move(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests run among all other processes of this host:", err)
		undo()
	}
	if hosttest.Own() {
		shrinkHashTablesOfChildren()
		tcp.RaiseTimeWaitLimit()
	}
}

// shrinkHashTable gives the network namespace of the tests a smaller table of connections than the
// 262,144 buckets of ordinary hosts. A scan would spend most of its time on empty buckets. Where
// this does not work, the tests only take longer.
func shrinkHashTable() (undo func()) {
	undo = func() {}
	runtime.LockOSThread() // the namespace of the tests becomes a child of the namespace of this thread
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return undo
	}
	if unix.Unshare(unix.CLONE_NEWNET) == nil {
		undo = func() { _ = unix.Setns(home, unix.CLONE_NEWNET) }
		shrinkHashTablesOfChildren()
	}
	return undo
}

// shrinkHashTablesOfChildren shrinks the tables of network namespaces that are made from the
// current one afterwards.
func shrinkHashTablesOfChildren() {
	_ = os.WriteFile("/proc/sys/net/ipv4/tcp_child_ehash_entries", []byte("16384"), 0)
}
