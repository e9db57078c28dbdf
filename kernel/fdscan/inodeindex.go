package fdscan

import "slices"

// InodeIndex combines the inode of a socket (upper 32 bits) with an index in some list (lower 32
// bits). A slice of them sorts fast and is searched without a map: for 100,000 sockets a map takes
// longer to fill.
type InodeIndex uint64

// NewInodeIndex combines an inode, which is below 1<<32, and an index.
func NewInodeIndex(inode uint64, index int) InodeIndex {
	return InodeIndex(inode<<32 | uint64(uint32(index)))
}

// Inode returns the upper part.
func (x InodeIndex) Inode() uint64 { return uint64(x >> 32) }

// Index returns the lower part.
func (x InodeIndex) Index() int { return int(uint32(x)) }

// IndexOf returns the first index of an inode in a sorted list.
func IndexOf(sorted []InodeIndex, inode uint64) (index int, found bool) {
	at, _ := slices.BinarySearch(sorted, NewInodeIndex(inode, 0))
	if at == len(sorted) || sorted[at].Inode() != inode {
		return 0, false
	}
	return sorted[at].Index(), true
}

// SortRuns sorts a list that consists of long ascending runs, such as the sockets of a process in
// the order of their descriptors. It is cheaper than a general sort: it merges neighbouring runs
// from the list to the space and back until one run is left. Both slices are overwritten; spare is
// the one that does not hold the result, for the next call.
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

// appendMerged appends the elements of two ascending lists in ascending order.
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
