package kernel

import "slices"

// indexed is the inode of a socket, which is a 32-bit number, above an index in some list. A slice of
// these sorts fast and is searched without a map, which for 100,000 sockets costs more to fill.
type indexed uint64

func newIndexed(inode uint64, index int) indexed { return indexed(inode<<32 | uint64(uint32(index))) }

func (x indexed) inode() uint64 { return uint64(x >> 32) }
func (x indexed) index() int    { return int(uint32(x)) }

// indexOf is the first index of an inode in a sorted list.
func indexOf(sorted []indexed, inode uint64) (index int, found bool) {
	at, _ := slices.BinarySearch(sorted, newIndexed(inode, 0))
	if at == len(sorted) || sorted[at].inode() != inode {
		return 0, false
	}
	return sorted[at].index(), true
}

// sortRuns sorts a list that consists of long ascending runs, as the sockets of a process in the order of
// their descriptors do, for less than sorting it from scratch. It merges neighbours, to and fro between the
// list and the space, and returns them as they are used then.
func sortRuns(list, space []indexed) (sorted, spare []indexed) {
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

// firstRun is the longest ascending list at the beginning.
func firstRun(list []indexed) []indexed {
	for i := 1; i < len(list); i++ {
		if list[i] < list[i-1] {
			return list[:i]
		}
	}
	return list
}

func appendMerged(to, a, b []indexed) []indexed {
	for len(a) > 0 && len(b) > 0 {
		if b[0] < a[0] {
			a, b = b, a
		}
		to = append(to, a[0])
		a = a[1:]
	}
	return append(append(to, a...), b...)
}
