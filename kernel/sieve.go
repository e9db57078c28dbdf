package kernel

// sieve holds back nearly all sockets that a walk is not looking for: one bit of memory to look at, where a
// search among 100,000 inodes costs a walk some percent. What it lets through by mistake, match passes over.
type inodeFilter struct{ bits []uint64 }

// sieveBits is how many bits there are for each wanted socket, at least. Inodes are numbered one after the
// other, so that their low bits differ.
const filterBits = 8

func newInodeFilter(wanted ...[]InodeIndex) inodeFilter {
	sockets, words := 0, 64
	for _, list := range wanted {
		sockets += len(list)
	}
	for words*64 < filterBits*sockets {
		words *= 2
	}
	s := inodeFilter{make([]uint64, words)}
	for _, list := range wanted {
		for _, x := range list {
			word, bit := s.place(x.Inode())
			s.bits[word] |= bit
		}
	}
	return s
}

// passes is true for every wanted socket.
func (s inodeFilter) mayHold(inode uint64) bool {
	word, bit := s.place(inode)
	return s.bits[word]&bit != 0
}

// place is the word and the bit of an inode; the number of words is a power of two.
func (s inodeFilter) place(inode uint64) (word, bit uint64) {
	return inode / 64 & uint64(len(s.bits)-1), 1 << (inode % 64)
}
