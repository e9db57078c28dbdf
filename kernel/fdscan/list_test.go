package fdscan

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/kernel/host"
)

// TestEachDescriptorIsVisitedOnce has tables with many descriptors and with gaps, which are listed
// in parts, or not at all.
func TestEachDescriptorIsVisitedOnce(t *testing.T) {
	type block struct{ from, n int }
	for name, c := range map[string]struct {
		opened    []block
		meanwhile func(open func(block), at uint64) // while the descriptor with this number is visited
	}{
		"few":                  {opened: []block{{500, 3}}},
		"many without a gap":   {opened: []block{{0, 300}}},
		"many, then a gap":     {opened: []block{{0, 300}, {1000, 10}, {5000, 1}}},
		"many after a gap":     {opened: []block{{3000, 300}}},
		"many with small gaps": {opened: []block{{0, 100}, {150, 50}, {230, 20}, {300, 100}}},
		"a gap is filled meanwhile": {opened: []block{{0, 300}, {325, 5}}, meanwhile: func(open func(block), at uint64) {
			if at == 200 { // the number of descriptors at the beginning is reached before the end
				open(block{320, 5})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			open := func(b block) {
				for range b.n {
					fd, err := unix.FcntlInt(null.Fd(), unix.F_DUPFD_CLOEXEC, b.from)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { unix.Close(fd) })
				}
			}
			for _, b := range c.opened {
				open(b)
			}
			fds, err := host.OpenDirectory(unix.AT_FDCWD, "/proc/self/fd")
			if err != nil {
				t.Fatal(err)
			}
			defer fds.Close()
			want, err := fds.Numbers(make([]byte, 32<<10))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Seek(int(fds), 0, unix.SEEK_SET); err != nil {
				t.Fatal(err)
			}
			var got []int
			var target [64]byte
			err = listDescriptors(fds, make([]byte, 4096), func(name []byte) bool {
				_, err := fds.Link(name, target[:])
				number, ok := host.ParseNumber(name)
				if !ok || name[:len(name)+1][len(name)] != 0 {
					t.Errorf("the name %q", name)
				}
				if err == nil {
					got = append(got, int(number))
				}
				if c.meanwhile != nil {
					c.meanwhile(open, number)
				}
				return err == nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("some were visited twice: %v", got)
			}
			for _, fd := range want {
				if !slices.Contains(got, fd) {
					t.Errorf("descriptor %d was not visited", fd)
				}
			}
		})
	}
}
