package leaktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Build builds cmd/leak, once per test binary, and returns the path of the program. The program
// stays in a temporary directory per working copy, so that the next test binary need not link it
// again. All users may run it, for tests that run it as another user.
func Build(t testing.TB) string { return path(t, leak) }

// BuildExporter builds the exporter in the same way, without cgo, as `make build` does.
func BuildExporter(t testing.TB) string { return path(t, exporter) }

// BuildCheckedExporter builds the exporter with the race detector where the test binary has it.
func BuildCheckedExporter(t testing.TB) string {
	if hasRaceDetector() {
		return path(t, racingExporter)
	}
	return path(t, exporter)
}

func path(t testing.TB, build func() (string, error)) string {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

var (
	leak           = sync.OnceValues(func() (string, error) { return build("leak", "./cmd/leak", false) })
	exporter       = sync.OnceValues(func() (string, error) { return build("closewait_exporter", ".", false) })
	racingExporter = sync.OnceValues(func() (string, error) { return build("closewait_exporter-race", ".", true) })
)

func hasRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// build builds a package of the module.
func build(name, pkg string, race bool) (program string, err error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
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
	// The race detector needs cgo, and shares compiled packages with the test binaries, which keep
	// paths.
	args, cgo := []string{"-trimpath"}, "0"
	if race {
		args, cgo = []string{"-race"}, "1"
	}
	cmd := exec.Command("go", slices.Concat([]string{"build", "-buildvcs=false"}, args, []string{"-o", program, pkg})...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// ModuleRoot is the directory of the module.
func ModuleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module (is go in the PATH?): %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// cacheDir is a directory that no other user can write to.
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
		return "", fmt.Errorf("%s is not a directory that only this user can write to: remove it", dir)
	}
	return dir, nil
}

// lockFile waits for the lock: test binaries run in parallel.
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
