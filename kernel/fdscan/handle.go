package fdscan

import "strconv"

// NoDescriptor is the number of a Handle without a descriptor: the socket is in a file table of
// io_uring, or the descriptor has been closed since.
const NoDescriptor = -1

// Handle is the place of a descriptor in a process at the time when its tables were read.
type Handle struct {
	Thread int32 // the thread whose table has it; 0: the table of the leader, which usually all share
	Number int32
}

// AppendPath appends the path of the descriptor below the directory of the process, with a NUL at
// the end.
func (h Handle) AppendPath(path []byte) []byte {
	if h.Thread != 0 {
		path = strconv.AppendInt(append(path, "task/"...), int64(h.Thread), 10)
		path = append(path, '/')
	}
	path = strconv.AppendInt(append(path, "fd/"...), int64(h.Number), 10)
	return append(path, 0)
}
