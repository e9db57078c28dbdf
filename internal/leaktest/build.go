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
func Build(t testing.TB) string { return built(t, leak) }

// BuildExporter builds the exporter as Build does cmd/leak.
func BuildExporter(t testing.TB) string { return built(t, exporter) }

func built(t testing.TB, build func() (string, error)) string {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

var (
	leak     = sync.OnceValues(func() (string, error) { return build("leak", "./cmd/leak") })
	exporter = sync.OnceValues(func() (string, error) { return build("closewait_exporter", ".") })
)

// build builds a package of the module.
func build(name, path string) (program string, err error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module (is go in the PATH?): %w", err)
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
	program = filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", program, path)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// cacheDir is a directory that nobody else can write to.
func cacheDir(root string) (string, error) {
	name := strings.ReplaceAll(strings.Trim(root, "/"), "/", "-")
	dir := filepath.Join(os.TempDir(), "leaktest-"+strconv.Itoa(os.Geteuid())+"-"+name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make a directory for programs: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("make a directory for programs: %w", err)
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
		return nil, fmt.Errorf("lock the build: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the build: %w", err)
	}
	return f, nil
}
