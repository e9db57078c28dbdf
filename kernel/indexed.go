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
