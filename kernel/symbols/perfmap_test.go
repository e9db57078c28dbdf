package symbols

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
	"closewait_exporter/origin"
)

func TestPerfMapsOfSeveralRuntimes(t *testing.T) {
	p, err := parsePerfMap(strings.NewReader(`7f00 10 void java.net.Socket::connect(int)
0x7e00 0x20 py::fetch:/srv/client.py
7f00 10 replaced
7d00 8 LazyCompile:~get /srv/a b.js:3
not a line
7c00 0 empty
7b00 zz name
7a00 8
` + "6f00 4 " + strings.Repeat("x", 3*maxName) + "\n6e00 4 last without a newline"))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[uint64]origin.Frame{
		0x7e00: {Function: "fetch", File: "/srv/client.py", Language: origin.PerfMap},
		0x7e1f: {Function: "fetch", File: "/srv/client.py", Language: origin.PerfMap},
		0x7f0f: {Function: "replaced", Language: origin.PerfMap},
		0x7d07: {Function: "LazyCompile:~get /srv/a b.js:3", Language: origin.PerfMap},
		0x6e00: {Function: "last without a newline", Language: origin.PerfMap},
	} {
		if diff := cmp.Diff([]origin.Frame{want}, p.frames(address)); diff != "" {
			t.Errorf("%#x (-want +got):\n%s", address, diff)
		}
	}
	for _, address := range []uint64{0, 0x7e20, 0x7f10, 0x7c00, ^uint64(0)} {
		if frames := p.frames(address); len(frames) > 0 {
			t.Errorf("%#x has the frames %v", address, frames)
		}
	}
	if long := p.frames(0x6f00); len(long) != 1 || len(long[0].Function) >= maxName {
		t.Errorf("a name of %d bytes has the frames %v", 3*maxName, long)
	}
}

// TestPerfMapsOfOtherUsersAreNotRead puts files in the place of the perf map of this process.
func TestPerfMapsOfOtherUsersAreNotRead(t *testing.T) {
	leaktest.RequireRoot(t)
	process := openSelfDirectory(t)
	path := "/tmp/perf-" + strconv.Itoa(os.Getpid()) + ".map"
	t.Cleanup(func() { os.Remove(path) })
	write := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("1000 10 f\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path)
	if p, err := openPerfMap(process); err != nil || len(p.frames(0x1000)) != 1 {
		t.Errorf("own file: %v, error %v", p, err)
	}
	if err := os.Chown(path, 12345, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := openPerfMap(process); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
		t.Errorf("file of another user: error %v", err)
	}
	os.Remove(path)
	if err := os.Symlink("/dev/zero", path); err != nil {
		t.Fatal(err)
	}
	if _, err := openPerfMap(process); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("link to a device: error %v", err)
	}
	os.Remove(path)
	if err := os.Symlink(filepath.Join("/proc/self/root", path), path); err != nil {
		t.Fatal(err)
	}
	if _, err := openPerfMap(process); err == nil {
		t.Error("a magic link was followed")
	}
}

func openSelfDirectory(t *testing.T) host.Directory {
	t.Helper()
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	dir, err := h.OpenProcess(kerneltest.IdentityOf(t, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	return dir
}
func FuzzPerfMap(f *testing.F) {
	f.Add("7f00 10 void java.net.Socket::connect(int)\n0x7e00 0x20 py::fetch:/srv/client.py\n", uint64(0x7f01))
	f.Add("ffffffffffffffff ffffffffffffffff x\n", ^uint64(0))
	f.Fuzz(func(t *testing.T, text string, address uint64) {
		p, err := parsePerfMap(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		p.frames(address)
	})
}
