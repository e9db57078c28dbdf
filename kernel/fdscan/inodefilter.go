package fdscan

// inodeFilter rejects nearly all sockets that are not wanted. It reads one bit of memory; a search
// among 100,000 inodes would cost a walk some percent of its time. It accepts some sockets by
// mistake: the caller has to compare the inodes of the sockets that it accepts.
type inodeFilter struct{ bits []uint64 }

// filterBits is the minimum number of bits for each wanted socket. The kernel numbers inodes
// consecutively, so their low bits serve as the hash.
const filterBits = 8

func newInodeFilter(wanted ...[]InodeIndex) inodeFilter {
	sockets, words := 0, 64
	for _, list := range wanted {
		sockets += len(list)
	}
	for words*64 < filterBits*sockets {
		words *= 2
	}
	f := inodeFilter{make([]uint64, words)}
	for _, list := range wanted {
		for _, x := range list {
			word, bit := f.place(x.Inode())
			f.bits[word] |= bit
		}
	}
	return f
}

// mayContain reports whether an inode may be wanted: true for all wanted inodes and few others.
func (f inodeFilter) mayContain(inode uint64) bool {
	word, bit := f.place(inode)
	return f.bits[word]&bit != 0
}

// place returns the word and the bit of an inode. The number of words is a power of two.
func (f inodeFilter) place(inode uint64) (word, bit uint64) {
	return inode / 64 & uint64(len(f.bits)-1), 1 << (inode % 64)
}
