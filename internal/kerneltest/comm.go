package kerneltest

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// HostileComms are names that a process can give itself to mislead parsers of /proc.
var HostileComms = []string{
	"sleep", "", ")", "(", "()", "a) Z 1 2 3", ") Z 1", "x\ny", "\nUid:\t0\t0", "\\n\\", "\t \"'",
	"half \xc3", "\xff\xfe", "fifteen bytes\xe2\x82",
}

// NameThisThread gives the thread a comm for the rest of the test.
func NameThisThread(t *testing.T, comm string) {
	t.Helper()
	if comm == "" {
		comm = "\x00" // an empty write would change nothing
	}
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	before, err := os.ReadFile("/proc/thread-self/comm")
	if err != nil {
		t.Fatal(err)
	}
	path, err := os.Readlink("/proc/thread-self")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join("/proc", path, "comm")
	if err := os.WriteFile(path, []byte(comm), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, bytes.TrimSuffix(before, []byte{'\n'}), 0); err != nil {
			t.Error(err)
		}
	})
}
