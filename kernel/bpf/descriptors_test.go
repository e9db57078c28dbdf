package bpf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestHoldsFewDescriptors: whoever watches others run out of descriptors takes few himself. Links
// keep the programs and their maps in the kernel.
func TestHoldsFewDescriptors(t *testing.T) {
	leaktest.RequireRoot(t)
	before := bpfDescriptors(t)
	it, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(it.Close)
	const most = 5 // two iterators, the walk, and the program by which it gives cookies, with its types
	if n := bpfDescriptors(t) - before; n > most {
		t.Errorf("%d descriptors stay open, want %d at most", n, most)
	}
}

// bpfDescriptors is how many descriptors of programs, maps, links and types this process has open.
func bpfDescriptors(t *testing.T) (n int) {
	t.Helper()
	const directory = "/proc/self/fd"
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(directory, entry.Name())) // that of the directory itself is closed
		if err == nil && (strings.HasPrefix(target, "anon_inode:bpf") || target == "anon_inode:btf") {
			n++
		}
	}
	return n
}
