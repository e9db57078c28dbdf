package bpf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestHoldsFewDescriptors counts the descriptors of an Iterator. Links keep the programs and their
// maps in the kernel.
func TestHoldsFewDescriptors(t *testing.T) {
	leaktest.RequireRoot(t)
	before := bpfDescriptors(t)
	it, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(it.Close)
	const most = 5 // two iterators, the walk, and the program that assigns cookies, with its types
	if n := bpfDescriptors(t) - before; n > most {
		t.Errorf("%d descriptors stay open, want %d at most", n, most)
	}
}

// bpfDescriptors counts the open descriptors of programs, maps, links and types in this process.
func bpfDescriptors(t *testing.T) (n int) {
	t.Helper()
	const directory = "/proc/self/fd"
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		// The descriptor of the directory itself is closed by now.
		target, err := os.Readlink(filepath.Join(directory, entry.Name()))
		if err == nil && (strings.HasPrefix(target, "anon_inode:bpf") || target == "anon_inode:btf") {
			n++
		}
	}
	return n
}
