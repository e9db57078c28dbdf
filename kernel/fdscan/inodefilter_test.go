package fdscan

import "testing"

func TestAFilterAcceptsAllWantedSocketsAndFewOthers(t *testing.T) {
	for _, n := range []int{0, 1, 7, 1000, 100_000} {
		wanted := make([]InodeIndex, n)
		for i := range wanted {
			wanted[i] = NewInodeIndex(uint64(i*5+1), i)
		}
		f, others := newInodeFilter(wanted), 0
		for i := range wanted {
			if !f.mayContain(wanted[i].Inode()) {
				t.Fatalf("of %d, number %d is rejected", n, i)
			}
			if f.mayContain(wanted[i].Inode() + 2) { // as on a host, where other sockets have the inodes in between
				others++
			}
		}
		if others > n/4+1 {
			t.Errorf("of %d others %d are accepted", n, others)
		}
	}
}
