package scan_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// TestAProcessWhoseCmdlineHangsDoesNotStallAScan freezes the file system below a page of a
// process and has one thread of it write to the page and another one unmap it. The memory of the
// process is locked then, and every read of its cmdline, environ or maps waits until the thaw.
func TestAProcessWhoseCmdlineHangsDoesNotStallAScan(t *testing.T) {
	hosttest.Require(t)
	mount := mountImage(t)
	process := startBlocked(t, filepath.Join(mount, "page"))
	freeze(t, mount)
	if _, err := io.WriteString(process.in, "now\n"); err != nil {
		t.Fatal(err)
	}
	awaitHang(t, "/proc/"+strconv.Itoa(process.pid)+"/cmdline")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		started := time.Now()
		h := openTracked(t, kind, scan.Options{}).view().holder(process.pid)
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("the scan took %v", took)
		}
		if h.Ended.Len() != 1 || h.Comm == "" || h.Exe == "" || h.User != "root" || !h.FDsKnown || h.MaxFDs == 0 {
			t.Errorf("seen: %+v", h.Process)
		}
	})
}

// mountImage mounts a small ext4 file system in the mount namespace of the tests.
func mountImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	image, mount := filepath.Join(dir, "image"), filepath.Join(dir, "mount")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"truncate", "--size=16M", image},
		{"mkfs.ext4", "-q", image},
		{"mount", "-o", "loop", image, mount},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("no file system can be mounted here: %v: %v\n%s", command, err, out)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return mount
}

// freeze stops all writes to a file system until the end of the test.
func freeze(t *testing.T, mount string) {
	t.Helper()
	const thaw = 0xC0045878 // FITHAW, include/uapi/linux/fs.h
	const freeze = 0xC0045877
	root, err := os.Open(mount)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if err := unix.IoctlSetInt(int(root.Fd()), freeze, 0); err != nil {
		t.Skipf("the file system cannot be frozen: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.IoctlSetInt(int(root.Fd()), thaw, 0); err != nil {
			t.Errorf("thaw: %v", err)
		}
	})
}

// awaitHang returns when a file cannot be read any more.
func awaitHang(t *testing.T, file string) {
	t.Helper()
	leaktest.Eventually(t, timeout, func() (bool, string) {
		read := make(chan error, 1)
		go func() { // ends at the thaw
			_, err := os.ReadFile(file)
			read <- err
		}()
		select {
		case err := <-read:
			return false, fmt.Sprintf("%s can be read, %v", file, err)
		case <-time.After(200 * time.Millisecond):
			return true, ""
		}
	})
}
