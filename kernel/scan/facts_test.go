package scan_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/kernel/scan"
)

// TestFactsThatChangeAreSeenByTheNextScan: what a scanner remembers of a process must not outlive
// it.
func TestFactsThatChangeAreSeenByTheNextScan(t *testing.T) {
	hosttest.Require(t)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		c := connect(t, listen(t, "127.0.0.1:0"))
		file, err := c.Server.File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		c.HalfCloseClient()
		shell := exec.Command("/bin/sh", "-c", "read -r _; exec tail -f /dev/null")
		shell.ExtraFiles = []*os.File{file}
		commands, err := shell.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := shell.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = shell.Process.Kill(); _ = shell.Wait() })

		scanner := openTracked(t, kind, scan.Options{})
		process := func() closewait.Process {
			if h := scanner.view().find(shell.Process.Pid); h != nil {
				return h.Process
			}
			return closewait.Process{}
		}
		before := process()
		for range 3 { // as often as it takes to remember something
			before = process()
		}
		if want, err := filepath.EvalSymlinks("/bin/sh"); before.Exe != want || before.User != "root" {
			t.Fatalf("%+v, want program %s (%v) of root", before, want, err)
		}

		limit := unix.Rlimit{Cur: before.MaxFDs - 1, Max: before.MaxFDs}
		if err := unix.Prlimit(shell.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			t.Fatal(err)
		}
		if got := process().MaxFDs; got != limit.Cur {
			t.Errorf("limit %d, want %d", got, limit.Cur)
		}
		if _, err := commands.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
		scanner.await(func(v view) (bool, string) {
			h := v.find(shell.Process.Pid)
			link, err := os.Readlink("/proc/" + strconv.Itoa(shell.Process.Pid) + "/exe")
			return err == nil && filepath.Base(link) == "tail" && h != nil && h.Comm == "tail", link
		})
		if got := process(); filepath.Base(got.Exe) != "tail" || got.ID != before.ID {
			t.Errorf("%+v, want tail", got)
		}
	})
}
