package kernel

import "testing"

func TestASieveLetsAllWantedSocketsThroughAndFewOthers(t *testing.T) {
	for _, n := range []int{0, 1, 7, 1000, 100_000} {
		wanted := make([]indexed, n)
		for i := range wanted {
			wanted[i] = newIndexed(uint64(i*5+1), i)
		}
		s, others := newSieve(wanted), 0
		for i := range wanted {
			if !s.passes(wanted[i].inode()) {
				t.Fatalf("of %d, number %d is held back", n, i)
			}
			if s.passes(wanted[i].inode() + 2) { // as on a host: others came in between
				others++
			}
		}
		if others > n/4+1 {
			t.Errorf("of %d others %d are let through", n, others)
		}
	}
}
