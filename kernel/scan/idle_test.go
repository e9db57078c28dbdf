package scan_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// opensDescriptors matches strace lines of opening a directory of descriptors, by path or
// relative to the directory of a process.
var opensDescriptors = regexp.MustCompile(`(?m)^.*open(?:at)?\(.*"(?:[^"]*/)?fd".*$`)

func TestWithoutCloseWaitNoDescriptorDirectoryIsOpened(t *testing.T) {
	hosttest.Require(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skipf("needs strace: %v", err)
	}
	leaktest.Start(t, "--established=5") // a healthy program
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		trace := filepath.Join(t.TempDir(), "trace")
		service := startScanService(t, nil, strace, "--seccomp-bpf", "-f", "-e", "trace=open,openat", "-o", trace)
		opened := func() int {
			log, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			return len(opensDescriptors.FindAll(log, -1))
		}
		run := func(options *scan.Options) scanResponse {
			got := service.ask(scanRequest{Open: options, Scan: true})
			if got.Error != "" {
				t.Fatal(got.Error)
			}
			return got
		}
		run(&scan.Options{Scanner: kind.name, Refresh: always})
		for range 3 {
			if got := run(nil); len(got.Sockets) != 0 {
				t.Fatalf("%d sockets in CLOSE_WAIT are left by other tests: %+v", len(got.Sockets), got.Sockets)
			}
		}
		if n := opened(); n != 0 {
			t.Errorf("%d directories of descriptors were opened", n)
		}
		leaktest.Start(t, "--sockets=1")
		run(nil)
		if n := opened(); (n > 0) != kind.walks {
			t.Errorf("%d were opened for a leaked socket", n) // the counting works
		}
	})
}
