package fdscan

import "slices"

// InodeIndex is the inode of a socket, a 32-bit number, above an index in some list. A slice of
// these sorts fast and is searched without a map, which for 100,000 sockets takes longer to fill.
type InodeIndex uint64

// NewInodeIndex combines an inode and an index.
func NewInodeIndex(inode uint64, index int) InodeIndex {
	return InodeIndex(inode<<32 | uint64(uint32(index)))
}

// Inode returns the inode.
func (x InodeIndex) Inode() uint64 { return uint64(x >> 32) }

// Index returns the index.
func (x InodeIndex) Index() int { return int(uint32(x)) }

// IndexOf returns the first index of an inode in a sorted list.
func IndexOf(sorted []InodeIndex, inode uint64) (index int, found bool) {
	at, _ := slices.BinarySearch(sorted, NewInodeIndex(inode, 0))
	if at == len(sorted) || sorted[at].Inode() != inode {
		return 0, false
	}
	return sorted[at].Index(), true
}

// SortRuns sorts a list that consists of long ascending runs, as the sockets of a process in the
// order of their descriptors do. It is cheaper than sorting from scratch: it merges neighbouring
// runs, to and fro between the list and the space, and returns the two as they are used in the end.
func SortRuns(list, space []InodeIndex) (sorted, spare []InodeIndex) {
	for {
		space = slices.Grow(space[:0], len(list))
		merged := 0
		for rest := list; len(rest) > 0; merged++ {
			a := firstRun(rest)
			b := firstRun(rest[len(a):])
			space = appendMerged(space, a, b)
			rest = rest[len(a)+len(b):]
		}
		list, space = space, list
		if merged <= 1 {
			return list, space
		}
	}
}

// firstRun returns the longest ascending list at the beginning.
func firstRun(list []InodeIndex) []InodeIndex {
	for i := 1; i < len(list); i++ {
		if list[i] < list[i-1] {
			return list[:i]
		}
	}
	return list
}

func appendMerged(to, a, b []InodeIndex) []InodeIndex {
	for len(a) > 0 && len(b) > 0 {
		if b[0] < a[0] {
			a, b = b, a
		}
		to = append(to, a[0])
		a = a[1:]
	}
	return append(append(to, a...), b...)
}
