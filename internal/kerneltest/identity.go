package kerneltest

import (
	"testing"

	"github.com/prometheus/procfs"

	"closewait_exporter/closewait"
)

// IdentityOf identifies a process as a scan does, by a parser that is not the one under test.
func IdentityOf(t testing.TB, pid int) closewait.ProcessID {
	t.Helper()
	process, err := procfs.NewProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := process.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return closewait.ProcessID{PID: pid, Start: stat.Starttime}
}
