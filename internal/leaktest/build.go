package leaktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Build builds cmd/leak, once per test binary, and returns the path of the program. The program stays
// in the temporary directory, one for each working copy, so that the next test binary need not link
// it again. Everybody may run it, for tests as another user.
func Build(t testing.TB) string {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

var build = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module of cmd/leak (is go in the PATH?): %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	dir, err := cacheDir(root)
	if err != nil {
		return "", err
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	program := filepath.Join(dir, "leak")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./cmd/leak")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cmd/leak: %w\n%s", err, out)
	}
	return program, nil
})

// cacheDir is a directory that nobody else can write to.
func cacheDir(root string) (string, error) {
	name := strings.ReplaceAll(strings.Trim(root, "/"), "/", "-")
	dir := filepath.Join(os.TempDir(), "leaktest-"+strconv.Itoa(os.Geteuid())+"-"+name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make a directory for cmd/leak: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("make a directory for cmd/leak: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a directory of ours alone: remove it", dir)
	}
	return dir, nil
}

// lockFile waits for its turn: test binaries run side by side.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the build of cmd/leak: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the build of cmd/leak: %w", err)
	}
	return f, nil
}
