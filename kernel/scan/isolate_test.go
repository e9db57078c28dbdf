package scan_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
)

// ownHost skips a test that counts all that is there, or changes it, where others are there too.
func ownHost(t testing.TB) {
	t.Helper()
	hosttest.Require(t)
}

// isolate runs the tests on a host of their own, so that the sockets of nobody else are counted. It
// returns in there, or where that is not permitted.
func isolate() {
	undo := func() {}
	if !hosttest.Own() {
		undo = shrinkHashTable()
	}
	if err := hosttest.Move(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests run among all else on this host:", err)
		undo()
	}
	if hosttest.Own() {
		shrinkHashTablesOfChildren()
	}
}

// shrinkHashTable makes the kernel's table of connections in the namespace of the tests smaller than
// the 262,144 buckets that hosts have, so that a scan does not take most of its time to pass over
// empty ones. Where this does not work they only take longer.
func shrinkHashTable() (undo func()) {
	undo = func() {}
	runtime.LockOSThread() // the namespace of this thread is to be the parent of that of the tests
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

// shrinkHashTablesOfChildren is for namespaces that are made from that of this thread.
func shrinkHashTablesOfChildren() {
	_ = os.WriteFile("/proc/sys/net/ipv4/tcp_child_ehash_entries", []byte("16384"), 0)
}
