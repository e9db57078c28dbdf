package kerneltest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Link is the prefix of a content that Plant writes as a symbolic link: the target follows it.
const Link = "-> "

// Plant writes files and symbolic links below a directory. tree has their contents by path, so that
// a test can give a fake /proc as a literal.
func Plant(t *testing.T, dir string, tree map[string]string) {
	t.Helper()
	for name, content := range tree {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, isLink := strings.CutPrefix(content, Link); isLink {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		Write(t, path, content)
	}
}

// FakeStart is the start time of the processes of FakeProcesses, in clock ticks since boot.
const FakeStart = 7

// FakeProcesses makes a fake /proc with the processes 1 to n, and returns its path. Their cmdline
// files contain commandLine. If that is empty, they are FIFOs: reading them hangs, as reading the
// command line of a locked process does.
func FakeProcesses(t *testing.T, n int, commandLine string) string {
	t.Helper()
	root := t.TempDir()
	for pid := 1; pid <= n; pid++ {
		dir := filepath.Join(root, strconv.Itoa(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stat := fmt.Sprintf("%d (x) S 1%s %d 0 0\n", pid, strings.Repeat(" 0", 17), FakeStart)
		Write(t, filepath.Join(dir, "stat"), stat)
		if commandLine != "" {
			Write(t, filepath.Join(dir, "cmdline"), commandLine)
		} else if err := unix.Mkfifo(filepath.Join(dir, "cmdline"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Write writes a file, which may be a FIFO.
func Write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// MountProc mounts another proc file system for the test, with mount options, and returns its path.
func MountProc(t *testing.T, options string) string {
	t.Helper()
	path := t.TempDir()
	if err := unix.Mount("proc", path, "proc", 0, options); err != nil {
		t.Fatal(os.NewSyscallError("mount", err))
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return path
}
