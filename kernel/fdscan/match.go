package fdscan

import (
	"cmp"
	"slices"

	"closewait_exporter/closewait"
)

// Match calls f for each socket of a sorted list that the walk has found, with the index of its
// InodeIndex and one descriptor for each of its holders, ascending by pid. The descriptors are
// valid until f returns.
func (w *Walk) Match(sorted []InodeIndex, f func(index int, held []Descriptor)) {
	slices.Sort(w.found)
	var held []Descriptor
	for found := w.found; len(found) > 0; {
		inode := found[0].Inode()
		held = held[:0]
		for len(found) > 0 && found[0].Inode() == inode {
			d := w.descriptors[found[0].Index()]
			if len(held) == 0 || held[len(held)-1].holder != d.holder { // a holder can have several
				held = append(held, d)
			}
			found = found[1:]
		}
		// Workers append their findings in any order.
		slices.SortFunc(held, func(a, b Descriptor) int { return cmp.Compare(a.holder, b.holder) })
		for len(sorted) > 0 && sorted[0].Inode() < inode {
			sorted = sorted[1:]
		}
		for len(sorted) > 0 && sorted[0].Inode() == inode {
			f(sorted[0].Index(), held)
			sorted = sorted[1:]
		}
	}
}

// Holders returns the processes that have the descriptors of one socket, ascending by pid. Sockets
// with the same holders share one list.
func (w *Walk) Holders(held []Descriptor) *[]closewait.ProcessID {
	w.holders = w.holders[:0]
	for _, d := range held {
		w.holders = append(w.holders, d.holder)
	}
	return w.lists.Of(w.holders, w.ids)
}
