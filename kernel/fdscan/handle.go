package fdscan

import "strconv"

// Handle says where a process had a descriptor when its tables were read.
type Handle struct {
	Thread int32 // whose table it is in; 0 for the table of the main thread, which usually all share
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
