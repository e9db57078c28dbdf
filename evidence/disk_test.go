package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
)

// again runs a test in another process.
func again(t *testing.T, attributes *syscall.SysProcAttr, argument string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), role+"="+argument)
	attributes.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = attributes
	return cmd
}

// TestAFullDiskCostsOnlyTheEvidence has a disk of 256 KiB in a mount namespace of its own.
func TestAFullDiskCostsOnlyTheEvidence(t *testing.T) {
	leaktest.RequireRoot(t)
	dir := os.Getenv(role)
	if dir == "" {
		cmd := again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}, t.TempDir())
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
		return
	}
	must(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,mode=0700"))
	s, err := Open(dir, trustAll)
	must(t, err)
	document := bytes.Repeat([]byte("x"), 100<<10)
	for _, id := range []string{"web-1-a", "web-1-b"} {
		_, err := s.Write(id, document)
		must(t, err)
	}
	if path, err := s.Write("web-1-c", document); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%s, %v, want that the disk is full", path, err)
	}
	if got := fmt.Sprint(namesIn(t, dir)); got != "[web-1-a.json web-1-b.json]" {
		t.Errorf("in the directory is %s", got)
	}
	must(t, os.Remove(filepath.Join(dir, "web-1-a.json")))
	if _, err := s.Write("web-1-c", document); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
}

// TestACrashLeavesOnlyWholeFiles kills a process that writes one file after the other.
func TestACrashLeavesOnlyWholeFiles(t *testing.T) {
	const size = 300 << 10
	dir := os.Getenv(role)
	if dir != "" {
		s, err := Open(dir, trustAll)
		must(t, err)
		for i := 0; ; i++ {
			_, err := s.Write(fmt.Sprintf("web-%d-a", i), bytes.Repeat([]byte("x"), size))
			must(t, err)
		}
	}
	s, dir := open(t)
	written := func() (whole, unfinishedFiles int) {
		for _, name := range namesIn(t, dir) {
			info, err := os.Stat(filepath.Join(dir, name))
			switch {
			case errors.Is(err, os.ErrNotExist): // it was renamed or made room meanwhile
			case err != nil:
				t.Fatal(err)
			case strings.HasPrefix(name, unfinished):
				unfinishedFiles++
			case info.Size() == size:
				whole++
			default:
				t.Errorf("%s has %d bytes, want %d", name, info.Size(), size)
			}
		}
		return whole, unfinishedFiles
	}
	leftBehind := 0
	for round := 0; round < 20 && leftBehind == 0; round++ {
		before, _ := written()
		cmd := again(t, &syscall.SysProcAttr{}, dir)
		must(t, cmd.Start())
		leaktest.EventuallyEvery(t, time.Minute, time.Millisecond, func() (bool, string) {
			whole, busy := written()
			return whole > before && busy > 0, fmt.Sprintf("%d files are whole, %d are being written", whole, busy)
		})
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		_, leftBehind = written()
		must(t, s.Clean())
		if _, busy := written(); busy > 0 {
			t.Errorf("%d unfinished files are left", busy)
		}
		for _, name := range namesIn(t, dir) {
			must(t, os.Remove(filepath.Join(dir, name)))
		}
	}
	t.Logf("%d unfinished files were left by the last kill", leftBehind)
}
