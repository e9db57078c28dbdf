package kernel

import (
	"cmp"
	"encoding/binary"
	"slices"

	"closewait_exporter/closewait"
)

// match calls f for each of some sockets, which are sorted, that the walk has found: with one descriptor for
// each of its holders, by ascending pid. They are valid until f returns.
func (w *Walk) Match(sorted []InodeIndex, f func(index int, held []Descriptor)) {
	slices.Sort(w.found)
	var held []Descriptor
	for found := w.found; len(found) > 0; {
		inode := found[0].Inode()
		held = held[:0]
		for len(found) > 0 && found[0].Inode() == inode {
			d := w.descriptors[found[0].Index()]
			if len(held) == 0 || held[len(held)-1].holder != d.holder { // it can have several for one socket
				held = append(held, d)
			}
			found = found[1:]
		}
		slices.SortFunc(held, func(a, b Descriptor) int { return cmp.Compare(a.holder, b.holder) }) // several workers mix them
		for len(sorted) > 0 && sorted[0].Inode() < inode {
			sorted = sorted[1:]
		}
		for len(sorted) > 0 && sorted[0].Inode() == inode {
			f(sorted[0].Index(), held)
			sorted = sorted[1:]
		}
	}
}

// holders are those of one socket, by ascending pid. Sockets with the same holders share one of the
// lists.
func (w *Walk) Holders(held []Descriptor) *[]closewait.ProcessID {
	var space [64]byte
	key := space[:0]
	for _, d := range held {
		key = binary.NativeEndian.AppendUint32(key, uint32(d.holder))
	}
	if w.lists[string(key)] == nil {
		list := make([]closewait.ProcessID, len(held))
		for i, d := range held {
			list[i] = w.ids[d.holder]
		}
		w.lists[string(key)] = &list
	}
	return w.lists[string(key)]
}
