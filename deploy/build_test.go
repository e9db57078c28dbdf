package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestTheBinaryListsItsModules is about go version -m, which docs/INSTALL.md gives as the bill of
// materials.
func TestTheBinaryListsItsModules(t *testing.T) {
	list := run(t, "go", "version", "-m", leaktest.BuildExporter(t))
	for _, want := range []string{"\tpath\tclosewait_exporter", "\tdep\tgithub.com/prometheus/client_golang\tv1.", "\tdep\tgithub.com/yuin/goldmark\tv1.", "\th1:"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
}

// TestAnArchiveOfTheRepositoryKnowsItsVersion builds nothing: it asks make for the version.
func TestAnArchiveOfTheRepositoryKnowsItsVersion(t *testing.T) {
	require(t, "git", "tar", "make")
	dir, archive := t.TempDir(), filepath.Join(t.TempDir(), "archive.tar")
	run(t, "git", "archive", "--output="+archive, "HEAD", "Makefile", "VERSION")
	run(t, "tar", "--extract", "--file="+archive, "--directory="+dir)
	inside := exec.Command("make", "--no-print-directory", "--dry-run", "build")
	inside.Dir = dir
	inside.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	output, err := inside.CombinedOutput()
	want := "Version=" + strings.TrimSpace(run(t, "git", "describe", "--tags", "--always"))
	if err != nil || !strings.Contains(string(output), want) {
		t.Errorf("no %s, but %v and\n%s", want, err, output)
	}
}

// TestTwoBuildsAreTheSame makes the packages of two clones in different directories.
func TestTwoBuildsAreTheSame(t *testing.T) {
	requireLong(t)
	require(t, "git", "make")
	var files [2]map[string]string
	for i := range files {
		clone := filepath.Join(t.TempDir(), "clone")
		run(t, "git", "clone", "--quiet", ".", clone)
		if err := os.CopyFS(filepath.Join(clone, "bin"), os.DirFS("../bin")); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		run(t, "make", "--directory="+clone, "package")
		files[i] = map[string]string{}
		for _, pattern := range []string{"closewait_exporter", "dist/*.deb", "dist/*.rpm"} {
			found, err := filepath.Glob(filepath.Join(clone, pattern))
			if err != nil || len(found) != 1 {
				t.Fatalf("%d files %s: %v", len(found), pattern, err)
			}
			sum, _, _ := strings.Cut(run(t, "sha256sum", found[0]), " ")
			files[i][pattern] = sum
		}
	}
	for pattern, sum := range files[0] {
		if files[1][pattern] != sum {
			t.Errorf("%s differs between two builds", pattern)
		}
	}
}

// TestItBuildsForOtherProcessors compiles the program and all tests, and runs the tests that need
// no kernel where qemu-user is installed.
func TestItBuildsForOtherProcessors(t *testing.T) {
	requireLong(t)
	for processor, emulator := range map[string]string{"arm64": "qemu-aarch64-static", "386": "qemu-i386-static"} {
		t.Run(processor, func(t *testing.T) {
			t.Setenv("GOARCH", processor)
			t.Setenv("CGO_ENABLED", "0")
			run(t, "go", "vet", "./...")
			run(t, "go", "build", "-o", os.DevNull, ".")
			if _, err := exec.LookPath(emulator); err != nil {
				t.Skipf("compiled, and not run: %v", err)
			}
			run(t, "go", "test", "-exec", emulator, "./closewait", "./history", "./report", "./reaper/policy", "./kernel/procfs", "./kernel/sockdiag")
		})
	}
}

func requireLong(t *testing.T) {
	t.Helper()
	if os.Getenv(longVariable) == "" {
		t.Skipf("takes minutes: run it with %s=1", longVariable)
	}
}
